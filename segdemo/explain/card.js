// What moves in a diagnosis card: the mask over the picture, its legend, what lies under the pointer.
const facts = JSON.parse(document.getElementById('facts').textContent);
const canvas = document.getElementById('map'), image = new Image(), told = document.getElementById('told');
const shown = new Set(facts.classes.filter((one) => !one.hidden).map((one) => one.index));
let labels = null;
image.onload = () => {
  Object.assign(canvas, {width: image.width, height: image.height});
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  pen.drawImage(image, 0, 0);
  labels = pen.getImageData(0, 0, image.width, image.height).data.slice();
  paint();
};
const paint = () => {
  const out = new ImageData(canvas.width, canvas.height);
  const paints = ({index, colour}) => [index, [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16))];
  const colours = new Map(facts.classes.map(paints));
  for (let i = 0; i < labels.length; i += 4) if (shown.has(labels[i])) out.data.set([...colours.get(labels[i]), 150], i);
  canvas.getContext('2d').putImageData(out, 0, 0);
};
canvas.addEventListener('pointermove', (event) => {
  if (!labels) return;
  const box = canvas.getBoundingClientRect();
  const x = Math.floor((event.clientX - box.left) / box.width * canvas.width);
  const y = Math.floor((event.clientY - box.top) / box.height * canvas.height);
  const at = 4 * (y * canvas.width + x), one = facts.classes.find(({index}) => index === labels[at]);
  told.textContent = one ? `(${x}, ${y}): ${one.name}, ${(labels[at + 1] / 2.55).toFixed(0)} % sure` : '';
});
for (const button of document.querySelectorAll('button[data-index]')) {
 button.addEventListener('click', () => {
  const index = Number(button.dataset.index);
  if (!shown.delete(index)) shown.add(index);
  button.setAttribute('aria-pressed', String(shown.has(index)));
  paint();
});
}
image.src = facts.labels;
// A box of the figure opens its stage.
for (const box of document.querySelectorAll('.figure a')) {
  box.addEventListener('click', () => { document.querySelector(box.getAttribute('href')).open = true; });
}
