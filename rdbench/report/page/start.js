// After the first paint: the head can be read while the rest is built. No frame is ever painted of
// a page that is not looked at, so there it is built at once; and so it is before printing.
let built = false;
function build() {
  if (built) return;
  built = true;
  page();
}
addEventListener("beforeprint", () => {
  if (built) return;
  build();
  dispatchEvent(new Event("beforeprint")); // for those who listen since just now
});
if (document.hidden) build();
else requestAnimationFrame(() => setTimeout(build));
