/** Where an arrow key goes on the timeline: across the row, or to another row. */
export interface Step {
  row: number;
  across: number;
}

export function step(key: string, row: number, rows: number, page: number): Step | null {
  const to = (index: number): Step => ({ row: Math.min(Math.max(index, 0), rows - 1), across: 0 });
  switch (key) {
    case "ArrowLeft":
      return { row, across: -1 };
    case "ArrowRight":
      return { row, across: 1 };
    case "Home":
      return { row, across: Number.NEGATIVE_INFINITY };
    case "End":
      return { row, across: Number.POSITIVE_INFINITY };
    case "ArrowUp":
      return to(row - 1);
    case "ArrowDown":
      return to(row + 1);
    case "PageUp":
      return to(row - page);
    case "PageDown":
      return to(row + page);
    default:
      return null;
  }
}
