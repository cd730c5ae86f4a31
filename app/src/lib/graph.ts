export interface Node {
  name: string;
  column: number;
  row: number;
}

export interface Edge {
  from: Node;
  to: Node;
}

export interface Layers {
  nodes: Node[];
  edges: Edge[];
  columns: number;
  rows: number;
}

/**
 * The graph in columns: a stack is to the right of everything it needs, and within a column close to it. Needs outside
 * the graph are left out; a cycle, which no valid record has, is cut where it closes.
 */
export function layers(graph: Record<string, string[]>): Layers {
  const names = Object.keys(graph).sort();
  const column = new Map<string, number>();
  const needs = (name: string): string[] => (graph[name] ?? []).filter((need) => Object.hasOwn(graph, need));
  const visit = (name: string, above: Set<string>): number => {
    const known = column.get(name);
    if (known !== undefined) return known;
    if (above.has(name)) return 0;
    const inner = new Set(above).add(name);
    const found = Math.max(-1, ...needs(name).map((need) => visit(need, inner))) + 1;
    column.set(name, found);
    return found;
  };
  for (const name of names) visit(name, new Set());
  const nodes = new Map<string, Node>();
  const columns = Math.max(0, ...column.values()) + 1;
  let rows = 0;
  for (let index = 0; index < columns; index += 1) {
    const inColumn = names.filter((name) => column.get(name) === index);
    const weight = (name: string): number => {
      const found = needs(name).map((need) => nodes.get(need)?.row ?? 0);
      return found.length ? found.reduce((sum, row) => sum + row, 0) / found.length : 0;
    };
    inColumn.sort((one, other) => weight(one) - weight(other) || (one < other ? -1 : 1));
    inColumn.forEach((name, row) => nodes.set(name, { name, column: index, row }));
    rows = Math.max(rows, inColumn.length);
  }
  const edges: Edge[] = [];
  for (const to of nodes.values()) {
    for (const need of needs(to.name)) {
      const from = nodes.get(need);
      if (from && from !== to) edges.push({ from, to });
    }
  }
  return { nodes: [...nodes.values()], edges, columns, rows };
}
