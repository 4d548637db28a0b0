/* SPDX-License-Identifier: Apache-2.0 */
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const policies = data.policies;
  const colours = ["#0b6e6e", "#d1495b", "#edae49", "#6a5acd", "#8d99ae", "#3d8bfd", "#7a4f2b", "#2b2d42"];
  const optimumColour = "#16202c";
  const byId = (id) => document.getElementById(id);

  function costName(seconds) {
    return seconds >= 60 && seconds % 60 === 0 ? seconds / 60 + " min" : seconds + " s";
  }

  function median(list) {
    const sorted = list.slice().sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }

  const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
  const percent = (share) => (100 * share).toFixed(2);
  const scenarios = [...new Set(data.cases.map((c) => c.scenario))];
  const costs = [...new Set(data.cases.map((c) => c.cost))].sort((a, b) => a - b);

  /* captured[scenario][policy][cost]: instances averaged */
  const captured = {};
  const switches = {};
  for (const scenario of scenarios) {
    const of = (p, cost, field) => mean(data.cases.filter((c) => c.scenario === scenario && c.cost === cost)
      .map((c) => c[field][p]));
    captured[scenario] = policies.map((_, p) => costs.map((cost) => of(p, cost, "captured")));
    switches[scenario] = policies.map((_, p) => costs.map((cost) => of(p, cost, "switches_day")));
  }
  const medians = policies.map((_, p) => costs.map((_, c) => median(scenarios.map((s) => captured[s][p][c]))));
  const lowest = policies.map((_, p) => costs.map((_, c) => Math.min(...scenarios.map((s) => captured[s][p][c]))));

  function element(tag, text, classes) {
    const made = document.createElement(tag);
    made.textContent = text;
    made.className = classes || "";
    return made;
  }

  function addRow(table, tag, cells, classes) {
    const row = document.createElement("tr");
    row.className = classes || "";
    for (const cell of cells) {
      row.appendChild(element(tag, cell[0], cell[1]));
    }
    table.appendChild(row);
  }

  function shareCells(rows, p) {
    return rows[p].map((share, c) => {
      const best = share >= Math.max(...rows.map((row) => row[c]));
      return [percent(share), best ? "best" : share < 0.5 ? "bad" : ""];
    });
  }

  function showCards() {
    byId("about").textContent = `${scenarios.length} ${scenarios.length > 1 ? "scenarios" : "scenario"}, ` +
      `${policies.length} ${policies.length > 1 ? "policies" : "policy"}, seed ${data.seed}` +
      (data.noise === null ? ", quotes as wrong as each scenario says" : `, quotes wrong by ${percent(data.noise)} %`) + ".";
    costs.forEach((cost, c) => {
      const card = element("div", "", "card");
      const others = policies.map((_, p) => medians[p][c]).slice(1);
      card.appendChild(element("span", `a switch costs ${costName(cost)}`));
      card.appendChild(element("b", percent(medians[0][c]) + " %"));
      card.appendChild(element("span", others.length
        ? `${policies[0]}; the best other has ${percent(Math.max(...others))} %` : policies[0]));
      byId("cards").appendChild(card);
    });
  }

  function showTables() {
    const head = [["policy", "left"]].concat(costs.map((c) => [costName(c), ""]));
    const summary = byId("summary");
    addRow(summary, "th", head.concat(costs.map((c) => ["lowest " + costName(c), ""])));
    policies.forEach((name, p) => {
      addRow(summary, "td", [[name, "left"]].concat(shareCells(medians, p), shareCells(lowest, p)));
    });
    const all = byId("all");
    addRow(all, "th", [["scenario", "left"]].concat(head, costs.map((c) => ["moves/day " + costName(c), ""])));
    for (const scenario of scenarios) {
      policies.forEach((name, p) => {
        const moves = switches[scenario][p].map((n) => [n.toFixed(1), ""]);
        addRow(all, "td", [[p ? "" : scenario, "left"], [name, "left"]].concat(shareCells(captured[scenario], p), moves),
          p ? "" : "first");
      });
    }
  }

  function legendInto(id, format) {
    return (shown) => {
      const box = byId(id);
      box.textContent = "";
      for (const one of shown.series) {
        const line = document.createElement("div");
        const dot = document.createElement("i");
        dot.style.background = one.color;
        line.appendChild(dot);
        line.appendChild(element("em", one.label));
        line.appendChild(element("span", one.y === undefined || one.y === null ? "" : format(one.y)));
        box.appendChild(line);
      }
      return "";
    };
  }

  function chart(id, rows, labels, palette, more, format) {
    const hidden = document.createElement("div");
    return new Dygraph(byId(id), rows, Object.assign({
      labels: labels, colors: palette, strokeWidth: 1.8, labelsDiv: hidden, legend: "always",
      legendFormatter: legendInto(id + "-legend", format), gridLineColor: "#e6eaef", axisLineColor: "#b8c2cc",
      axisLabelFontSize: 12, highlightCircleSize: 3,
    }, more));
  }

  function showCaptured() {
    const low = 0; /* shares below nothing would hide all others */
    const rows = costs.map((cost, c) => [Math.log10(cost)].concat(policies.map((_, p) =>
      Math.max(low, 100 * medians[p][c]))));
    chart("captured", rows, ["cost"].concat(policies), colours, {
      drawPoints: true, pointSize: 3, valueRange: [0, 104], xRangePad: 20, ylabel: "",
      axes: {
        x: {
          ticker: () => costs.map((cost) => ({ v: Math.log10(cost), label: costName(cost) })),
          valueFormatter: (x) => costName(Math.round(Math.pow(10, x) * 1000) / 1000),
        },
        y: { axisLabelFormatter: (y) => y + " %", axisLabelWidth: 56 },
      },
    }, (y) => y.toFixed(2) + " %");
  }

  const timeOf = (one, step) => one.start_ms
    ? new Date(one.start_ms + step * one.step_ms) : step * one.step_ms / 86400000;

  function axes(one) {
    const dated = one.start_ms !== 0;
    return {
      x: dated ? {} : { axisLabelFormatter: (x) => "day " + (+x).toFixed(0), valueFormatter: (x) => "day " + x.toFixed(1) },
      y: { axisLabelWidth: 66 },
    };
  }

  function showMarket() {
    const one = data.cases.find((c) => c.series && c.scenario === byId("scenario").value &&
      c.cost === +byId("cost").value);
    const chosen = +byId("policy").value;
    const usd = (y) => y.toFixed(2);
    const revenue = one.series.map((row) => [timeOf(one, row[0])].concat(row.slice(1)));
    const regret = one.series.map((row) => [timeOf(one, row[0])].concat(row.slice(2).map((r) => row[1] - r)));
    const more = { labelsUTC: true, axes: axes(one) };
    chart("revenue", revenue, ["time", "optimum"].concat(policies), [optimumColour].concat(colours), more, usd);
    chart("regret", regret, ["time"].concat(policies), colours, more, usd);
    const digit = (text, t) => parseInt(text[t], 36);
    const modes = [];
    for (let t = 0; t < one.modes[0].length; t++) {
      modes.push([timeOf(one, t), digit(one.modes[0], t) + 0.08, digit(one.modes[1 + chosen], t) - 0.08]);
    }
    const names = one.mode_names;
    const modeAxes = axes(one);
    modeAxes.y = {
      axisLabelWidth: 66,
      ticker: () => names.map((name, m) => ({ v: m, label: name })),
    };
    byId("modes-title").textContent = `Mode over time: ${policies[chosen]} and the optimum` +
      (one.modes[0].length < one.steps ? `, first ${Math.round(one.modes[0].length * one.step_ms / 86400000)} days` : "");
    chart("modes", modes, ["time", "optimum", policies[chosen]], [optimumColour, colours[chosen]], {
      stepPlot: true, valueRange: [-0.6, names.length - 0.4], labelsUTC: true, axes: modeAxes, strokeWidth: 1.4,
    }, (y) => names[Math.round(y)] || "");
  }

  function fill(id, list, name, value) {
    list.forEach((item, i) => {
      const option = element("option", name(item));
      option.value = value(item, i);
      byId(id).appendChild(option);
    });
    byId(id).addEventListener("change", showMarket);
  }

  showCards();
  showTables();
  showCaptured();
  fill("scenario", scenarios, (s) => s, (s) => s);
  fill("cost", costs, costName, (c) => c);
  fill("policy", policies, (p) => p, (_, i) => i);
  byId("cost").value = costs[Math.min(2, costs.length - 1)];
  showMarket();
})();
