// Sorts a table by the column whose heading is pressed. What has no value stays last both ways.
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((heading, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const falling = heading.getAttribute("aria-sort") === "ascending";
      const sign = falling ? -1 : 1;
      const numeric = heading.classList.contains("n");
      const body = table.tBodies[0];
      const key = (row) => row.cells[index].dataset.sort;
      const rows = [...body.rows].sort((one, two) => {
        const [a, b] = [key(one), key(two)];
        if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
        return sign * (numeric ? Number(a) - Number(b) : a.localeCompare(b));
      });
      body.append(...rows);
      for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
    });
  });
}
