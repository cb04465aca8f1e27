// What is wrong with the page that is shown: texts, run by accessibility.py.
() => {
  const faults = [];
  const shown = (e) => e.checkVisibility({opacityProperty: true, visibilityProperty: true})
    && !e.closest("[hidden], [inert], [aria-hidden='true']") && !["SCRIPT", "STYLE", "NOSCRIPT"].includes(e.tagName);
  const named = (e) => `${e.tagName.toLowerCase()}${e.id ? "#" + e.id : ""}.${e.className.baseVal ?? e.className}`;
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (text) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const ground = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3]) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((under, top) => over(top, under), rgba("Canvas"));
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
    if (!text || !shown(e) || e.closest("[disabled], svg")) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 600;
    const under = ground(e), ratio = contrast(over(rgba(style.color), under), under);
    const needed = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    if (ratio < needed) faults.push(`contrast ${ratio.toFixed(2)}: ${named(e)} "${text.slice(0, 40)}"`);
  }
  for (const e of document.querySelectorAll("svg text")) {
    if (!shown(e)) continue;
    const under = ground(e.closest("svg")), ratio = contrast(over(rgba(getComputedStyle(e).fill), under), under);
    if (ratio < 4.5) faults.push(`contrast ${ratio.toFixed(2)}: ${named(e)} in a drawing "${e.textContent}"`);
  }
  const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(shown);
  const levels = headings.map((e) => Number(e.tagName[1]));
  if (!document.querySelector("dialog[open]")) {
    if (levels.filter((level) => level === 1).length !== 1) faults.push(`${levels.filter((l) => l === 1).length} h1`);
    levels.forEach((level, i) => {
      if (i && level > levels[i - 1] + 1) faults.push(`h${levels[i - 1]}, then h${level}: "${headings[i].textContent.trim()}"`);
    });
  }
  const name = (e) => e.getAttribute("aria-label") || e.title || [...(e.labels ?? [])].map((l) => l.textContent).join("").trim()
    || (e.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join("").trim()
    || e.textContent.trim() || e.querySelector("img")?.alt || "";
  for (const e of document.querySelectorAll("a[href], button, input, select, textarea, [role=button], [role=slider], [tabindex]"))
    if (shown(e) && e.tabIndex >= 0 && !name(e)) faults.push(`no name: ${named(e)}`);
  for (const e of document.images) if (shown(e) && !e.hasAttribute("alt")) faults.push(`no alt: ${e.src.slice(-40)}`);
  for (const e of document.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) faults.push(`tabindex ${e.tabIndex}: ${named(e)}`);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) faults.push(`id twice: ${id}`);
  for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby], [aria-controls]"))
    for (const key of ["aria-labelledby", "aria-describedby", "aria-controls"])
      for (const id of (e.getAttribute(key) ?? "").split(" ").filter(Boolean))
        if (!document.getElementById(id)) faults.push(`${key} of ${named(e)} names no element: ${id}`);
  if (!document.documentElement.lang) faults.push("no lang");
  if (!document.title) faults.push("no title");
  return [...new Set(faults)];
}
