// Regions: how many labels of a region hold, counted as Certificate.at_least does (theory T16).

// The most labels of a region that may be false. counts: labels at each level of evidence, weakest
// first. Weights and bound are whole numbers of any size, so that nothing is rounded.
function mostFalse(counts, weights, bound) {
  let found = 0, sum = 0n;
  for (let level = 0; level < counts.length && sum < bound; level++) {
    const fitting = (bound - sum - 1n) / weights[level];
    if (fitting < BigInt(counts[level])) return found + Number(fitting);
    found += counts[level];
    sum += BigInt(counts[level]) * weights[level];
  }
  return found;
}

// Components of a region, those with a label, and how many of these hold at least.
function held(size, counts, { weights, bound }) {
  const given = counts.reduce((sum, count) => sum + count, 0);
  return { size, given, atLeast: given - mostFalse(counts, weights, bound) };
}

function unpackEvidence(part) {
  const { evidence } = part;
  evidence.weights = evidence.weights.map(BigInt);
  evidence.bound = BigInt(evidence.bound);
}

function heldEverywhere({ evidence }) {
  const counts = evidence.weights.map((_, level) => evidence.labels.reduce((sum, row) => sum + row[level + 1], 0));
  return held(evidence.all, counts, evidence);
}

function heldWithLabel({ evidence }, label) {
  const [, ...counts] = evidence.labels.find((row) => row[0] === label) ?? [label, ...evidence.weights.map(() => 0)];
  return held(counts.reduce((sum, count) => sum + count, 0), counts, evidence);
}

// mask: 1 for the pixels of the region. Of cells those count that it touches.
function heldWithin(part, mask, height, width) {
  const { evidence, own, levels, cells } = part, counts = evidence.weights.map(() => 0);
  const seen = cells && new Uint8Array(cells[0] * cells[1]);
  let size = 0;
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    if (cells) {
      const row = Math.floor((Math.floor(i / width) * cells[0]) / height);
      const cell = row * cells[1] + Math.floor(((i % width) * cells[1]) / width);
      if (seen[cell]) continue;
      seen[cell] = 1;
    }
    size += 1;
    const level = levels ? levels[i] : own[i] === ABSTAINS ? 0 : 1;
    if (level) counts[level - 1] += 1;
  }
  return held(size, counts, evidence);
}

// Pixels whose centres lie inside a closed line of [row, column] points, by the even-odd rule.
function insideOf(line, height, width) {
  const mask = new Uint8Array(height * width);
  for (let row = 0; row < height; row++) {
    const y = row + 0.5, crossings = [];
    line.forEach(([y1, x1], n) => {
      const [y2, x2] = line[(n + 1) % line.length];
      if ((y1 <= y) !== (y2 <= y)) crossings.push(x1 + ((y - y1) / (y2 - y1)) * (x2 - x1));
    });
    crossings.sort((a, b) => a - b);
    for (let n = 0; n + 1 < crossings.length; n += 2) {
      const first = Math.max(0, Math.ceil(crossings[n] - 0.5));
      const after = Math.min(width, Math.ceil(crossings[n + 1] - 0.5));
      mask.fill(1, row * width + first, row * width + Math.max(first, after));
    }
  }
  return mask;
}

function boxOf([top, left], [bottom, right], height, width) {
  const mask = new Uint8Array(height * width);
  const [first, last] = [Math.min(left, right), Math.max(left, right)];
  for (let row = Math.min(top, bottom); row <= Math.max(top, bottom); row++) {
    mask.fill(1, row * width + first, row * width + last + 1);
  }
  return mask;
}

// Pixels of one value that are connected to a place by their sides. allowed: whether a pixel is one
// of the image, and not of a gap between slices.
function connected(value, start, height, width, allowed) {
  const mask = new Uint8Array(height * width), wanted = value(start), open = [start];
  mask[start] = 1;
  while (open.length) {
    const i = open.pop(), column = i % width;
    for (const next of [i - width, i + width, column > 0 ? i - 1 : -1, column < width - 1 ? i + 1 : -1]) {
      if (next < 0 || next >= mask.length || mask[next] || value(next) !== wanted || !allowed(next)) continue;
      mask[next] = 1;
      open.push(next);
    }
  }
  return mask;
}

// What is known of a region, in a sentence for each run. count: heldEverywhere or another, by part.
function tellRegion(place, where, sample, count) {
  const several = report.runs.length > 1;
  const said = sample.runs.flatMap((part, number) => {
    const run = report.runs[number], [hold, under] = run.regions;
    const { size, given, atLeast } = count(part);
    const cells = part.cells ? (size === 1 ? "cell" : "cells") : `${report.part}${size === 1 ? "" : "s"}`;
    return [
      several ? strong(`${run.title}: `) : "", `${where}: at least `, strong(`${atLeast} of its ${size} ${cells}`),
      ` ${hold} (${given} have one) ${under}. `,
    ];
  });
  place.replaceChildren(...said);
}
