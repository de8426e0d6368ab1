"""Operational points of codecs beside R(D): units, files, distances, BD-rate."""

from rdbench.codecs.bd import bd_rate as bd_rate
from rdbench.codecs.compare import Distance as Distance
from rdbench.codecs.compare import check_possible as check_possible
from rdbench.codecs.compare import distance as distance
from rdbench.codecs.points import CodecPoint as CodecPoint
from rdbench.codecs.points import read_points as read_points
from rdbench.codecs.units import NATS_SUM as NATS_SUM
from rdbench.codecs.units import Units as Units
from rdbench.codecs.units import parse_units as parse_units
