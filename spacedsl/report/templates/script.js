"use strict";
// What pictures say when they are pointed at or tapped. Without this script browsers show it too,
// where there is a mouse.
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);
for (const title of document.querySelectorAll("svg :not(svg) > title")) {
  title.parentNode.dataset.said = title.textContent;
  title.remove();
}
const show = (event) => {
  const found = event.target.closest && event.target.closest("[data-said]");
  tip.hidden = !found;
  if (!found) return;
  tip.textContent = found.dataset.said;
  const x = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
  const below = event.clientY + 18 + tip.offsetHeight < window.innerHeight;
  const y = below ? event.clientY + 18 : event.clientY - tip.offsetHeight - 12;
  tip.style.transform = `translate(${Math.max(x, 8)}px, ${Math.max(y, 8)}px)`;
};
document.addEventListener("pointermove", show);
document.addEventListener("pointerdown", show);
document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
