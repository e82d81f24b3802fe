// Draw an image in a window of grey values, and a coloured map over it.

export function decode(pixels) {
  const text = atob(pixels.data);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  let values = bytes;
  if (pixels.bits === 16) {
    values = new Uint16Array(text.length / 2);
    for (let i = 0; i < values.length; i++) values[i] = bytes[2 * i] | (bytes[2 * i + 1] << 8);
  }
  return { width: pixels.width, height: pixels.height, channels: pixels.channels, max: 2 ** pixels.bits - 1, values };
}

export class Viewer {
  constructor(canvas, colours) {
    this.canvas = canvas;
    this.colours = colours; // 256 times red, green, blue
    this.base = document.createElement("canvas");
    this.layer = document.createElement("canvas");
  }

  setImage(image) {
    this.image = image;
    for (const canvas of [this.canvas, this.base]) {
      canvas.width = image.width;
      canvas.height = image.height;
    }
  }

  // Grey values from `low` (black) to `high` (white).
  setWindow(low, high, inverted) {
    const { values, channels, max, width, height } = this.image;
    const table = new Uint8ClampedArray(max + 1);
    for (let value = 0; value <= max; value++) {
      const grey = (255 * (value - low)) / Math.max(high - low, 1e-6);
      table[value] = inverted ? 255 - Math.min(255, Math.max(0, grey)) : grey;
    }
    const picture = new ImageData(width, height);
    for (let i = 0, at = 0; i < width * height; i++, at += 4) {
      for (let channel = 0; channel < 3; channel++) {
        picture.data[at + channel] = table[values[channels === 3 ? 3 * i + channel : i]];
      }
      picture.data[at + 3] = 255;
    }
    this.base.getContext("2d").putImageData(picture, 0, 0);
  }

  // The opacity of a pixel is proportional to its value, as in the overlays that ggcam writes.
  setMap(map, opacity) {
    this.layer.width = map.width;
    this.layer.height = map.height;
    const picture = new ImageData(map.width, map.height);
    map.values.forEach((value, i) => {
      for (let channel = 0; channel < 3; channel++) picture.data[4 * i + channel] = this.colours[3 * value + channel];
      picture.data[4 * i + 3] = Math.round(value * opacity);
    });
    this.layer.getContext("2d").putImageData(picture, 0, 0);
  }

  draw() {
    const context = this.canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(this.base, 0, 0);
    context.drawImage(this.layer, 0, 0, this.canvas.width, this.canvas.height);
  }
}

export function drawScale(canvas, colours) {
  const picture = new ImageData(256, 1);
  for (let value = 0; value < 256; value++) {
    for (let channel = 0; channel < 3; channel++) picture.data[4 * value + channel] = colours[3 * value + channel];
    picture.data[4 * value + 3] = 255;
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}
