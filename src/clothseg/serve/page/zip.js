// ZIP files in the browser, without compression: the pictures in them are compressed already.
// Source: APPNOTE.TXT of PKWARE, 4.3 (records) and appendix D (names in UTF-8).

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});
const UTF8 = 0x0800;
const MOST = 0xffffffff;

function crc32(bytes) {
  let sum = MOST;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return (sum ^ MOST) >>> 0;
}

// Numbers as little-endian bytes: [value, length] each.
function numbers(...pairs) {
  const view = new DataView(new ArrayBuffer(pairs.reduce((sum, [, length]) => sum + length, 0)));
  let at = 0;
  for (const [value, length] of pairs) {
    if (length === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += length;
  }
  return new Uint8Array(view.buffer);
}

// A ZIP file of { name, blob } entries, as a blob. The names must differ.
export async function zip(entries, now = new Date()) {
  const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
  const day = ((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
  const files = [];
  const directory = [];
  let offset = 0;
  let listed = 0;
  for (const { name, blob } of entries) {
    const label = new TextEncoder().encode(name);
    const sum = crc32(new Uint8Array(await blob.arrayBuffer()));
    const facts = [[20, 2], [UTF8, 2], [0, 2], [time, 2], [day, 2], [sum, 4], [blob.size, 4], [blob.size, 4], [label.length, 2], [0, 2]];
    const head = numbers([0x04034b50, 4], ...facts);
    files.push(head, label, blob);
    const row = numbers([0x02014b50, 4], [20, 2], ...facts, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]);
    directory.push(row, label);
    offset += head.length + label.length + blob.size;
    listed += row.length + label.length;
    if (offset + listed > MOST) throw new Error("These files are too large for one ZIP; take fewer photos.");
  }
  const count = entries.length;
  if (count > 0xffff) throw new Error("These are too many files for one ZIP; take fewer photos.");
  const end = numbers([0x06054b50, 4], [0, 2], [0, 2], [count, 2], [count, 2], [listed, 4], [offset, 4], [0, 2]);
  return new Blob([...files, ...directory, end], { type: "application/zip" });
}
