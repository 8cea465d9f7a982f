/** The numbers of the original's containers (contract §5); other nodes get the next free one from the database. */
const CONTAINER_NUMBERS: Readonly<Record<string, number>> = {
  server1: 1,
  server2: 2,
  server3: 3,
  worker1: 4,
  client: 5,
  database: 6,
};

/** The number in `CONTAINER_ID,LINE`, or the id itself where the original had no such container. */
export function containerLabel(id: string, configured: number | null): string {
  return String(configured ?? CONTAINER_NUMBERS[id] ?? id);
}
