// What a stage does and what to look for in its maps, in two sentences: for every stage of our own networks, and by the
// kind of module for all others.
import {KINDS} from './kinds.js';
import {plain, textsOf} from './texts.js';

// Networks with the stages of another.
const LIKE = {unet_bilinear: 'unet', unet_narrow: 'unet', resnet34: 'resnet18', resnet50: 'resnet18', resnet101: 'resnet18', resnet152: 'resnet18'};

const starred = (text) => text.replace(/\d+/g, '*');

// Names under which a stage may be described, the most particular first: itself, those like it in its stage, the same
// in all stages like its own, those like it there.
const namesOf = (label) => {
  const [stage, ...inside] = label.split(' · ');
  const alike = inside.map(starred);
  return [label, [stage, ...alike], [starred(stage), ...inside], [starred(stage), ...alike]]
    .map((name) => [name].flat().join(' · '));
};

// Which kind's text a kind has; undefined where none fits.
export const kindOf = (kind, has = () => false) => {
  const name = kind.split('.').at(-1); // of torch.nn.modules.conv.Conv2d
  if (has(`kind.${name}`)) return name;
  return KINDS.find(([, pattern]) => pattern.test(name))?.[0];
};

// The key of the text for a stage, undefined where there is none.
// network, label: as the figure names them; kind: as PyTorch names the type of the module.
export const keyFor = (t, network, label, kind) => {
  const networks = [network, LIKE[network]].filter(Boolean);
  const keys = networks.flatMap((one) => namesOf(label ?? '').map((name) => `stage.${one}.${name}`));
  const alike = kindOf(kind ?? '', t.has);
  return keys.find(t.has) ?? (alike && `kind.${alike}`);
};

// The two sentences in parts, for showTerms.
export const explained = (network, label, kind) => {
  const t = textsOf('words');
  const key = keyFor(t, network, label, kind);
  return key ? t.parts(key) : t.parts('kind.other');
};

// The two sentences in plain words.
export const explain = (network, label, kind) => plain(explained(network, label, kind));
