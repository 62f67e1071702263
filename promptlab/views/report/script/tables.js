// Tables that the template wrote: sorted by a click on the head of a column.

function makeSortable(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  for (const [index, head] of heads.entries()) {
    head.querySelector(".sort")?.addEventListener("click", () => {
      // Names go up first; of numbers, one looks for the largest.
      const numeric = head.classList.contains("n") || head.classList.contains("wide");
      const upwards = head.hasAttribute("aria-sort") ? head.getAttribute("aria-sort") === "descending" : !numeric;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", upwards ? "ascending" : "descending");
      body.append(...[...body.rows].sort((a, b) => order(sortKey(a.cells[index]), sortKey(b.cells[index]), upwards)));
    });
  }
}

function sortKey(cell) {
  return cell.dataset.sort ?? cell.textContent.trim();
}

// Numbers before other text; what is empty stands last, whichever way.
function order(a, b, upwards) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const difference = isNaN(a) || isNaN(b) ? a.localeCompare(b, "en", { numeric: true }) : a - b;
  return upwards ? difference : -difference;
}
