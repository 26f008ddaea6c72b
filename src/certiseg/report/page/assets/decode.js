// From the text that the page carries to arrays of numbers.

function loadImage(url) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("an image in this page is damaged"));
    image.src = url;
  });
}

// A lossless PNG: red + 256 green + 65536 blue, of a grey one the grey value.
async function plane(url) {
  const image = await loadImage(url);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  const values = new Uint32Array(canvas.width * canvas.height);
  const grey = bytes(url.split(",")[1].slice(0, 40))[25] === 0; // the colour type of a PNG
  let most = 0;
  for (let i = 0, p = 0; i < values.length; i++, p += 4) {
    const [red, green, blue] = [pixels[p], pixels[p + 1], pixels[p + 2]];
    values[i] = grey ? red : red + 256 * green + 65536 * blue;
    if (values[i] > most) most = values[i];
  }
  // Many large images may be open at once.
  return most < 256 ? new Uint8Array(values) : most < 65536 ? new Uint16Array(values) : values;
}

function bytes(text) {
  const binary = atob(text), array = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) array[i] = binary.charCodeAt(i);
  return array;
}

const numbers = (text, Kind) => new Kind(bytes(text).buffer);

async function decodePicture(sample) {
  sample.truth = await plane(sample.truth);
  for (const part of sample.runs) {
    for (const name of ["clean", "draw", "own", "mode", "hits", "levels"]) {
      if (part[name]) part[name] = await plane(part[name]);
    }
  }
}

function decodeCloud(sample) {
  sample.truth = numbers(sample.truth, Uint16Array);
  sample.points = numbers(sample.points, Float32Array);
  for (const part of sample.runs) {
    for (const name of ["clean", "draw", "own", "mode"]) {
      if (part[name]) part[name] = numbers(part[name], Uint16Array);
    }
    for (const name of ["hits", "levels"]) {
      if (part[name]) part[name] = numbers(part[name], Uint32Array);
    }
    part.noisyPoints = numbers(part.noisyPoints, Float32Array);
  }
}

// Unpacks a sample once; its radii by count come with it.
async function decode(sample) {
  for (const part of sample.runs) {
    part.radii = radiusTable(part);
    part.said = Object.fromEntries((part.table || []).map((row) => [row[0], row[5]]));
  }
  await (report.kind === "clouds" ? decodeCloud(sample) : decodePicture(sample));
  return sample;
}
