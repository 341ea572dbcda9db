/** Single keys of the terminal, without waiting for Enter. Ctrl-C arrives as a key too while this listens. */

/** Calls `onKey` until the function that it returns is called; does nothing where stdin is no terminal. */
export function listenForKeys(onKey: (key: string) => void): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) return () => {};
  const onData = (chunk: Buffer) => {
    for (const key of chunk.toString()) onKey(key);
  };
  stdin.setRawMode(true);
  stdin.on("data", onData);
  return () => {
    stdin.off("data", onData);
    stdin.setRawMode(false);
    stdin.pause();
  };
}
