// Sorts a table by the column whose heading is pressed; rows without a value stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const now = head.getAttribute("aria-sort");
    const next = now ? (now === "ascending" ? "descending" : "ascending") : head.dataset.first;
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", next);
    const keyed = [...body.rows].map(row => ({row, key: row.cells[column].dataset.by}));
    const numeric = keyed.every(({key}) => key === "" || !Number.isNaN(Number(key)));
    const compare = (a, b) => numeric ? Number(a) - Number(b) : a.localeCompare(b, "en");
    const sign = next === "ascending" ? 1 : -1;
    keyed.sort((a, b) => (a.key === "") - (b.key === "") || sign * compare(a.key, b.key));
    body.append(...keyed.map(({row}) => row));
  }));
}
