// Sorting by a click, Enter or Space on a column's button. The page reads and prints the same without it.
document.querySelectorAll("table.sortable").forEach(function (table) {
  table.querySelectorAll("thead button").forEach(function (button) {
    button.addEventListener("click", function () {
      var cell = button.closest("th");
      var column = Array.prototype.indexOf.call(cell.parentNode.children, cell);
      var down = cell.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("th").forEach(function (other) { other.removeAttribute("aria-sort"); });
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      var body = table.tBodies[0];
      var value = function (row) {
        var cell = row.cells[column];
        return cell.dataset.sort === undefined ? cell.textContent : Number(cell.dataset.sort);
      };
      Array.from(body.rows).sort(function (a, b) {
        var x = value(a), y = value(b);
        var order = typeof x === "number" ? x - y : x.localeCompare(y, "en", { numeric: true });
        return down ? -order : order;
      }).forEach(function (row) { body.appendChild(row); });
    });
  });
});
