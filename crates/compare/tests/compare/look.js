// SPDX-License-Identifier: GPL-2.0-or-later
// Looks at a page as it is laid out at some width, and tells what is there and what is wrong.
function look(doc, width) {
  const wrong = [], root = doc.documentElement, window = doc.defaultView;
  const name = (e) => `${e.tagName} ${e.getAttribute("class") || ""} "${e.textContent.slice(0, 40)}"`;
  const say = (what, e) => { if (wrong.length < 20) wrong.push(`${width}: ${what}: ${name(e)}`); };
  const box = (e) => e.getBoundingClientRect();
  const apart = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
  const seen = (e) => e.checkVisibility({ contentVisibilityAuto: true }) && box(e).width > 0;
  if (root.scrollWidth > width) say(`the page is ${root.scrollWidth} wide`, root);
  for (const e of doc.body.querySelectorAll("*")) {
    if (!seen(e) || e.closest(".hidden, .scroll > *, pre")) continue;
    const { left, right } = box(e);
    if (left < -0.5 || right > width + 0.5) say(`from ${left} to ${right}`, e);
    const hides = window.getComputedStyle(e).overflowX !== "visible";
    if (!hides && !e.closest("svg") && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0) say("wider than its box", e);
  }
  // What stands side by side or below each other does not overlap.
  for (const parent of doc.querySelectorAll("body, main, section, .scores, .score, .plots, .key, dl, tr, td, details")) {
    const children = [...parent.children].filter((e) => seen(e) && !e.matches(".hidden"));
    children.forEach((a, i) => children.slice(i + 1).forEach((b) => {
      if (!apart(box(a), box(b))) say(`overlaps ${name(b)}`, a);
    }));
  }
  for (const svg of doc.querySelectorAll("svg")) {
    if (!seen(svg)) continue;
    if (!svg.querySelector("title")) say("has no title", svg);
    const texts = [...svg.querySelectorAll("text")], all = box(svg);
    texts.forEach((a, i) => {
      const { left, right, top, bottom } = box(a);
      if (left < all.left - 1 || right > all.right + 1 || top < all.top - 2 || bottom > all.bottom + 2) say("out of its plot", a);
      if (box(a).height < 6.5) say("too small to read", a);
      texts.slice(i + 1).forEach((b) => { if (!apart(box(a), box(b))) say(`overlaps ${name(b)}`, a); });
    });
  }
  // Texts and lines stand out from what is behind them, as far as WCAG 2 asks for.
  const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = parts(colour).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = window.getComputedStyle(e).backgroundColor;
      if ((parts(colour)[3] ?? 1) > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const contrast = (e, colour) => {
    const [a, b] = [light(colour), light(behind(e))].sort((a, b) => b - a);
    return (a + 0.05) / (b + 0.05);
  };
  const texts = document.createTreeWalker(doc.body, NodeFilter.SHOW_TEXT), paper = new Set();
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement, style = window.getComputedStyle(e);
    if (!texts.currentNode.data.trim() || !seen(e) || e.closest("title, .hidden")) continue;
    const found = contrast(e, e.closest("svg") ? style.fill : style.color);
    if (found < 4.5) say(`contrast ${found.toFixed(2)}`, e);
    paper.add(behind(e));
  }
  for (const e of doc.querySelectorAll(".curve, .swatch, .interval, g .median")) {
    const found = contrast(e.parentElement, window.getComputedStyle(e).color);
    if (found < 3 && seen(e) && !e.matches("[class*=' g']")) say(`contrast ${found.toFixed(2)}`, e);
  }
  const count = (selector) => doc.querySelectorAll(selector).length;
  const ids = [...doc.querySelectorAll("[id]")].map((e) => e.id);
  return {
    wrong, dark: light(window.getComputedStyle(doc.body).backgroundColor) < 0.2, papers: paper.size,
    width: root.clientWidth, height: root.scrollHeight,
    headings: [...doc.querySelectorAll("h1, h2")].map((e) => e.textContent),
    boxes: count(".score"), tables: count("table"), rows: count("tbody tr"), cells: count("tbody td"),
    curves: count("path.curve"), dots: count("circle"), medians: count("g .median"),
    lanes: count(".idle"), plots: count("svg"), warnings: count(".warnings li"),
    titled: count("svg[role=img] > title"), twice: ids.length - new Set(ids).size,
    script: count("script"), outside: [...doc.querySelectorAll("[src], [href]")].map((e) => e.outerHTML),
  };
}
