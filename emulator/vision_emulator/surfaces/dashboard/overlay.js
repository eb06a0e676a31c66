// What was found, drawn over the image: outlines in a drawing of the image's own size, names beside them that keep theirs.

import { drawn, h } from "./dom.js";
import { percent } from "./words.js";

export const LAYERS = {
  objects: "Objects",
  faces: "Faces",
  text: "Text",
  logos: "Logos",
  landmarks: "Landmarks",
  crops: "Crop hints",
};
const WORDS_DRAWN_MAX = 3000;

/** The shapes of an answer for an image of this size: `{layer, id, points, dots, name}`, points in pixels. */
export function shapes(response, width, height) {
  const outline = (poly) => {
    if (poly?.normalizedVertices?.length) return poly.normalizedVertices.map(({ x = 0, y = 0 }) => [x * width, y * height]);
    return (poly?.vertices ?? []).map(({ x = 0, y = 0 }) => [x, y]);
  };
  const found = [];
  const add = (layer, index, poly, name, dots = []) => {
    const points = outline(poly);
    if (points.length > 2) found.push({ layer, id: `${layer}-${index}`, points, dots, name });
  };
  (response.localizedObjectAnnotations ?? []).forEach((each, index) => add("objects", index, each.boundingPoly, `${each.name} ${percent(each.score ?? 0)}`));
  (response.faceAnnotations ?? []).forEach((each, index) => {
    const dots = (each.landmarks ?? []).map(({ position = {} }) => [position.x ?? 0, position.y ?? 0]);
    add("faces", index, each.boundingPoly, `Face ${percent(each.detectionConfidence ?? 0)}`, dots);
    add("faces", index, each.fdBoundingPoly, "");
  });
  words(response).slice(0, WORDS_DRAWN_MAX).forEach((each, index) => add("text", index, each.boundingBox ?? each.boundingPoly, ""));
  (response.logoAnnotations ?? []).forEach((each, index) => add("logos", index, each.boundingPoly, each.description));
  (response.landmarkAnnotations ?? []).forEach((each, index) => add("landmarks", index, each.boundingPoly, each.description));
  (response.cropHintsAnnotation?.cropHints ?? []).forEach((each, index) => add("crops", index, each.boundingPoly, `Crop ${index + 1}`));
  return found;
}

function words(response) {
  const pages = response.fullTextAnnotation?.pages ?? [];
  const read = pages.flatMap((page) => page.blocks ?? []).flatMap((block) => block.paragraphs ?? []).flatMap((paragraph) => paragraph.words ?? []);
  return read.length ? read : (response.textAnnotations ?? []).slice(1);
}

/** Draws them; `size` is [width, height] of the image. */
export function draw(svg, tags, found, [width, height]) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const thick = Math.max(width, height) / 160;
  svg.replaceChildren(
    ...found.map((shape) =>
      drawn(
        "g",
        { class: `shape ${shape.layer}`, "data-shape": shape.id },
        drawn("polygon", { points: shape.points.map((point) => point.join(",")).join(" ") }),
        shape.dots.map(([x, y]) => drawn("circle", { cx: x, cy: y, r: thick * 0.6 })),
      ),
    ),
  );
  tags.replaceChildren(
    ...found
      .filter((shape) => shape.name)
      .map((shape) => {
        const tag = h("span", { class: `tag ${shape.layer}`, "data-shape": shape.id }, shape.name);
        const x = Math.min(...shape.points.map(([left]) => left));
        const y = Math.min(...shape.points.map(([, top]) => top));
        tag.style.left = `${Math.max(0, Math.min(96, (100 * x) / width))}%`;
        tag.style.top = `${Math.max(0, Math.min(96, (100 * y) / height))}%`;
        return tag;
      }),
  );
}

/** Makes one of them stand out, or none. */
export function point(frame, id) {
  for (const element of frame.querySelectorAll("[data-shape]")) element.classList.toggle("pointed", element.dataset.shape === id);
  frame.classList.toggle("pointing", id !== null);
}
