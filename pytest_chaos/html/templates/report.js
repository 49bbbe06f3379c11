"use strict";
// Filter and sort the table, draw what is opened, choose the theme. Without it all but this and the charts is still there.
(() => {
  const part = (name) => document.querySelector(`[data-part="${name}"]`);
  const root = document.documentElement;
  root.dataset.scripted = "";

  part("theme").addEventListener("change", (event) => {
    root.dataset.theme = event.target.value;
  });

  // ---------------------------------------------------------------- the table

  const table = document.querySelector("table.disruptions");
  if (table) {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => ({ row, text: row.textContent.toLowerCase() }));
    const form = part("filter");

    const filter = () => {
      const words = form.querySelector("[type=search]").value.toLowerCase().split(/\s+/).filter(Boolean);
      const verdicts = new Set([...form.querySelectorAll(":checked")].map((box) => box.value));
      let shown = 0;
      for (const { row, text } of rows) {
        row.hidden = !verdicts.has(row.dataset.verdict) || !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      part("shown").textContent = `${shown} of ${rows.length} shown`;
    };

    const order = {
      rank: (column) => ({ row }) => Number(row.dataset.rank),
      text: (column) => ({ row }) => row.cells[column].textContent,
      number: (column) => ({ row }) => parseFloat(row.cells[column].textContent.replaceAll(",", "")),
    };

    const sort = (head) => {
      const key = order[head.dataset.kind](head.cellIndex);
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const keyed = rows.map((one) => ({ one, key: key(one) }));
      keyed.sort((a, b) => {
        if (typeof a.key === "string") return (up ? 1 : -1) * a.key.localeCompare(b.key, "en", { numeric: true });
        if (Number.isNaN(a.key) || Number.isNaN(b.key)) return Number.isNaN(a.key) - Number.isNaN(b.key);
        return (up ? 1 : -1) * (a.key - b.key);
      });
      body.append(...keyed.map(({ one }) => one.row));
    };

    for (const head of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(head));
      head.append(button);
    }
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    filter();
  }

  // ---------------------------------------------------------------- the charts

  let loaded;
  const library = () => {
    loaded ??= (async () => {
      const packed = Uint8Array.from(atob(part("library").textContent), (letter) => letter.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      const script = document.createElement("script");
      script.textContent = await new Response(stream).text();
      document.head.append(script);
      return window.Plotly;
    })();
    return loaded;
  };

  // What plotly takes for markup in a name is text here.
  const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const byClass = { 2: "#3f83d6", 3: "#1b95a0", 4: "#d07000", 5: "#e0443e" };
  const others = ["#9a6dd7", "#7d8590", "#2e9a50"];
  const dashes = ["solid", "dash", "dot", "dashdot"];
  const symbols = ["circle", "square", "diamond", "cross"];
  const LATENCY = { p50: "#3f83d6", p99: "#d07000", max: "#e0443e" };

  const lines = (series, start, width) =>
    series.map(({ name, at, value }, number) => {
      const color = LATENCY[name] ?? byClass[name.length === 3 ? name[0] : ""] ?? others[number % others.length];
      return {
        type: "scatter",
        mode: "lines+markers",
        name: plain(name),
        meta: name,
        x: value.map((_, place) => start + ((at ? at[place] : place) + 0.5) * width),
        y: value,
        line: { color, width: 2, dash: dashes[number % dashes.length] },
        marker: { color, size: 4, symbol: symbols[number % symbols.length] },
      };
    });

  const overTime = (data, kind, axis) => ({
    traces: lines(data[kind], data.start, data.width),
    layout: {
      xaxis: { title: { text: "seconds since the start of setup" }, zeroline: false },
      yaxis: axis,
      shapes: data.window
        ? [{ type: "rect", layer: "below", xref: "x", x0: data.window[0], x1: data.window[1], yref: "paper", y0: 0, y1: 1,
            fillcolor: "rgba(125, 133, 144, 0.25)", line: { width: 0 },
            label: { text: "body", textposition: "top left" } }]
        : [],
    },
  });

  const kinds = {
    rate: (data) => overTime(data, "rate", { title: { text: "requests a second" }, rangemode: "tozero" }),
    latency: (data) => overTime(data, "latency", { title: { text: "ms" }, type: "log" }),
    histogram: ({ histogram: { edges, counts } }) => ({
      // The classes grow by a constant factor: drawn equally wide, they make a logarithmic axis.
      traces: [{ type: "bar", name: "requests", meta: "requests", x: counts.map((_, number) => number + 0.5), y: counts, width: 0.95,
        marker: { color: "#3f83d6" }, hovertext: counts.map((_, number) => `${edges[number]} to ${edges[number + 1]} ms`) }],
      layout: {
        showlegend: false,
        xaxis: { title: { text: "ms" }, tickvals: edges.map((_, number) => number), ticktext: edges.map(String), tickangle: -45 },
        yaxis: { title: { text: "requests" }, rangemode: "tozero" },
      },
    }),
  };

  const draw = async (section) => {
    const source = section.querySelector("script[type='application/json']");
    if (!source || section.dataset.drawn) return;
    section.dataset.drawn = "begun";
    const data = JSON.parse(source.textContent);
    const places = [...section.querySelectorAll("[data-chart]")];
    for (const place of places) place.textContent = "Drawing\u2026";
    try {
      const plotly = await library();
      for (const place of places) {
        const { traces, layout } = kinds[place.dataset.chart](data);
        place.textContent = "";
        await plotly.newPlot(place, traces, {
          font: { family: "system-ui, sans-serif", size: 12 },
          paper_bgcolor: "rgba(0,0,0,0)",
          plot_bgcolor: "rgba(0,0,0,0)",
          margin: { l: 60, r: 10, t: 30, b: 55 },
          legend: { orientation: "h", y: 1.15 },
          showlegend: true,
          ...layout,
        }, { displayModeBar: false, responsive: true });
        place.after(numbers(traces));
      }
      section.dataset.drawn = "done";
    } catch (error) {
      for (const place of places) place.textContent = `This browser cannot draw the chart: ${error}`;
    }
  };

  // The same as a table, for those who do not see the chart, or want the figures.
  const numbers = (traces) => {
    const details = document.createElement("details");
    details.append(Object.assign(document.createElement("summary"), { textContent: "As a table" }));
    details.addEventListener("toggle", () => {
      if (details.childElementCount > 1) return;
      const table = document.createElement("table");
      const heads = table.createTHead().insertRow();
      for (const text of ["line", "at", "value"])
        heads.append(Object.assign(document.createElement("th"), { textContent: text, scope: "col" }));
      const body = table.createTBody();
      for (const { meta, x, y, hovertext } of traces)
        y.forEach((value, number) => {
          const row = body.insertRow();
          for (const text of [meta, hovertext?.[number] ?? `${x[number].toFixed(3)} s`, value ?? "-"]) row.insertCell().textContent = text;
        });
      const scroll = Object.assign(document.createElement("div"), { className: "numbers", tabIndex: 0 });
      scroll.setAttribute("role", "region");
      scroll.setAttribute("aria-label", "The figures of the chart");
      scroll.append(table);
      details.append(scroll);
    });
    return details;
  };

  // Not ":target": while the page is loaded, nothing is it yet.
  const open = () => {
    const wanted = location.hash;
    const section = [...document.querySelectorAll("main > section")].find((one) => new URL(`#${one.id}`, location).hash === wanted);
    section?.querySelector("h2")?.focus({ preventScroll: true });
    if (section?.matches(".disruption")) draw(section);
  };
  addEventListener("hashchange", open);
  open();
})();
