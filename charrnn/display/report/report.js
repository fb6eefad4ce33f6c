"use strict";
(function () {
  const find = (id) => document.getElementById(id);
  const reveal = (nodes) => nodes.forEach((node) => { node.hidden = false; });

  // Contents: open beside the text, a disclosure above it on narrow pages; the section in view is marked.
  const toc = find("toc"), wide = matchMedia("(min-width: 1100px)");
  const openWide = () => { toc.open = wide.matches; };
  wide.addEventListener("change", openWide);
  openWide();
  const links = new Map([...toc.querySelectorAll("a")].map((a) => [a.hash.slice(1), a]));
  toc.addEventListener("click", (event) => { if (event.target.closest("a") && !wide.matches) toc.open = false; });
  let current = null;
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      if (current) current.removeAttribute("aria-current");
      current = links.get(entry.target.id);
      if (current) current.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  document.querySelectorAll("main > section").forEach((section) => watcher.observe(section));

  // Colours: as the system has them, or as they are chosen.
  const theme = find("theme"), kinds = ["auto", "light", "dark"];
  let kind = "auto";
  try { kind = localStorage.getItem("charrnn-theme") || "auto"; } catch (error) { kind = "auto"; }
  const paint = () => {
    if (!kinds.includes(kind)) kind = "auto";
    if (kind === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.dataset.theme = kind;
    theme.querySelector("span").textContent = kind;
    theme.setAttribute("aria-label", "Colours: " + kind);
  };
  theme.addEventListener("click", () => {
    kind = kinds[(kinds.indexOf(kind) + 1) % kinds.length];
    try { localStorage.setItem("charrnn-theme", kind); } catch (error) { /* not kept, but shown */ }
    paint();
  });
  theme.hidden = false;
  paint();

  const made = (tag, text, name) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (name) node.className = name;
    return node;
  };

  // The card that tells of one symbol.
  const told = find("told");
  const place = (span) => {
    const box = span.getBoundingClientRect(), gap = 10;
    const width = told.offsetWidth, height = told.offsetHeight;
    const left = Math.min(Math.max(gap, box.left - width / 3), document.documentElement.clientWidth - width - gap);
    const under = box.bottom + gap + height < innerHeight;
    told.style.left = Math.max(0, left) + "px";
    told.style.top = (under ? box.bottom + gap : Math.max(gap, box.top - gap - height)) + "px";
  };

  // A painted text that tells more: under the pointer, at a tap, and at the cursor keys.
  const explore = (box, describe, keys) => {
    const spans = [...box.children];
    const index = new Map(spans.map((span, i) => [span, i]));
    let at = -1;
    const show = (i) => {
      if (at >= 0) spans[at].classList.remove("at");
      at = i;
      const span = spans[i];
      span.classList.add("at");
      told.replaceChildren(...describe(i));
      told.hidden = false;
      place(span);
    };
    const hide = () => {
      if (at >= 0) spans[at].classList.remove("at");
      told.hidden = true;
    };
    box.addEventListener("pointerover", (event) => {
      const i = index.get(event.target);
      if (i !== undefined) show(i);
    });
    box.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
    box.addEventListener("click", (event) => {
      const i = index.get(event.target);
      if (i !== undefined) show(i);
    });
    box.addEventListener("blur", hide);
    box.addEventListener("scroll", () => { if (at >= 0 && !told.hidden) place(spans[at]); });
    if (keys) box.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") { hide(); return; }
      if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      show(Math.min(spans.length - 1, Math.max(0, at + step)));
      spans[at].scrollIntoView({ block: "nearest" });
      place(spans[at]);
    });
    document.addEventListener("pointerdown", (event) => { if (!box.contains(event.target)) hide(); });
    addEventListener("scroll", () => { if (!box.matches(":hover, :focus")) hide(); }, { passive: true });
    return { spans, refresh: () => { if (at >= 0 && !told.hidden) show(at); } };
  };

  const explorer = find("explorer");
  if (explorer) {
    const data = JSON.parse(find("explorer-data").textContent);
    explore(explorer, (i) => {
      const head = made("p"), name = made("strong", data.symbols[data.tokens[i]]);
      head.append(name);
      if (data.bits[i] === null) {
        head.append(" is the first: nothing predicts it");
        return [head];
      }
      head.append(" cost " + data.bits[i].toFixed(2) + " bits, rank " + data.rank[i]);
      const entropy = made("p", "expected in its place (" + data.entropy[i].toFixed(2) + " bits of entropy):");
      const list = made("ol");
      for (const [symbol, percent] of data.guesses[i]) {
        const row = made("li", undefined, symbol === data.tokens[i] ? "true" : ""), bar = made("i");
        bar.style.width = percent + "%";
        row.append(made("span", data.symbols[symbol]), bar, made("b", percent.toFixed(1) + "%"));
        list.append(row);
      }
      return [head, entropy, list];
    }, true);
  }

  // Flip through the units of the network over one excerpt.
  const flip = find("flip");
  if (flip) {
    const data = JSON.parse(find("flip-data").textContent);
    const raw = atob(data.levels), levels = new Int8Array(raw.length);
    for (let i = 0; i < raw.length; i += 1) levels[i] = raw.charCodeAt(i);
    const names = new Map(data.units.map((unit, i) => [unit[0], i]));
    const field = find("flip-unit"), range = find("flip-range"), box = find("flip-text");
    const facts = flip.querySelectorAll(".facts dd"), ends = flip.querySelectorAll(".scale > span");
    let at = data.first;
    const reader = explore(box, (i) => {
      const share = (levels[at * data.size + i] / data.full + 1) / 2;
      const text = data.units[at][0] + " is at " + Math.round(100 * share) + "% of its scale after ";
      const head = made("p", text);
      head.append(made("strong", box.children[i].textContent.replace(/ /g, "␣").replace(/\n$/, "")));
      return [head];
    }, false);
    const buttons = [...flip.querySelectorAll("button[data-unit]")];
    const show = (unit) => {
      at = Math.min(data.units.length - 1, Math.max(0, unit));
      const row = data.units[at], start = at * data.size;
      reader.spans.forEach((span, i) => {
        const name = "q" + Math.round((levels[start + i] / data.full + 1) * 10);
        span.className = span.classList.contains("at") ? name + " at" : name;
      });
      find("flip-name").textContent = row[0];
      find("flip-tracks").textContent = row[6];
      ends[0].textContent = row[1];
      ends[2].textContent = row[2];
      facts.forEach((fact, i) => { fact.textContent = row[3 + i]; });
      field.value = row[0];
      range.value = String(at);
      buttons.forEach((button) => button.setAttribute("aria-pressed", String(Number(button.dataset.unit) === at)));
      reader.refresh();
    };
    range.max = String(data.units.length - 1);
    reveal([range, ...flip.querySelectorAll(".controls, .chips, .keyboard")]);
    range.addEventListener("input", () => show(Number(range.value)));
    flip.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (button.dataset.step) show(at + Number(button.dataset.step));
      else show(Number(button.dataset.unit));
    });
    field.addEventListener("change", () => {
      const unit = names.get(field.value.trim());
      if (unit === undefined) field.value = data.units[at][0];
      else show(unit);
    });
    let near = false;
    new IntersectionObserver((entries) => { near = entries[entries.length - 1].isIntersecting; }).observe(flip);
    document.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key], focus = document.activeElement;
      if (!step || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      const ours = flip.contains(focus), free = focus === document.body || focus === null;
      if (focus === field || focus === range || !(ours || (free && near))) return;
      event.preventDefault();
      show(at + step);
    });
    show(at);
  }
}());
