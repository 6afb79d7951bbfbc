import assert from 'node:assert/strict';
import {test} from 'node:test';
import TEXTS from '../../build/javascript/static/generated/texts.js';
import {textsOf} from '../../build/javascript/static/texts.js';
import {explain, explained, keyFor, kindOf} from '../../build/javascript/static/words.js';

const t = textsOf('words');
const key = (...stage) => keyFor(t, ...stage);

test('a stage has words of its own where there are some', () => {
  assert.equal(key('unet', 'Encoder 1', 'DoubleConv'), 'stage.unet.Encoder 1');
  assert.equal(key('lenet', 'Logits', 'Linear'), 'stage.lenet.Logits');
});

test('stages inside others that are alike share their words', () => {
  assert.equal(key('unet', 'Encoder 3 · conv 2', 'ReLU'), 'stage.unet.Encoder * · conv 2');
  assert.equal(key('deeplabv3_mobilenet_v2', 'Block 11 · expand', 'ConvReLU'), 'stage.deeplabv3_mobilenet_v2.Block * · expand');
  assert.equal(key('u2netp', 'De_2 · conv 3d', 'REBNCONV'), 'stage.u2netp.De_* · conv *d');
});

test('what is said of the stages inside one stage goes before what is said of all', () => {
  assert.equal(key('u2netp', 'En_5 · conv 2', 'REBNCONV'), 'stage.u2netp.En_5 · conv *');
  assert.equal(key('u2netp', 'En_4 · conv 2', 'REBNCONV'), 'stage.u2netp.En_* · conv *');
});

test("the U-Net's variants take its words but for what they do otherwise", () => {
  assert.equal(key('unet_narrow', 'Decoder 2 · upsampled', 'ConvTranspose2d'), 'stage.unet.Decoder * · upsampled');
  assert.equal(key('unet_bilinear', 'Decoder 2 · upsampled', 'Upsample'), 'stage.unet_bilinear.Decoder * · upsampled');
  assert.equal(key('unet_bilinear', 'Encoder 2', 'Down'), 'stage.unet.Encoder 2');
});

test('a layer of ours that is no stage, and every layer of a foreign network, is described by its kind', () => {
  assert.equal(key('unet', 'inc.double_conv.1', 'BatchNorm2d'), 'kind.BatchNorm2d');
  assert.equal(key('resnet18', 'Encoder 1', 'Conv2d'), 'kind.Conv2d');
  assert.equal(key(undefined, undefined, 'torch.nn.modules.conv.Conv2d'), 'kind.Conv2d');
});

test('kinds of other libraries are described as what they are', () => {
  const alike = {
    BasicBlock: 'BasicBlock', Bottleneck: 'BasicBlock', BatchNorm1d: 'BatchNorm2d', SyncBatchNorm: 'BatchNorm2d', FrozenBatchNorm2d: 'BatchNorm2d',
    BatchNormAct2d: 'ConvBNReLU', InstanceNorm2d: 'GroupNorm', LayerNorm2d: 'LayerNorm', Conv1d: 'Conv2d', Conv3d: 'Conv2d',
    ConvTranspose3d: 'ConvTranspose2d', Conv2dNormActivation: 'ConvBNReLU', AdaptiveMaxPool2d: 'AdaptiveAvgPool2d',
    MaxPool3d: 'MaxPool2d', AvgPool1d: 'AvgPool2d', SelectAdaptivePool2d: 'AdaptiveAvgPool2d', LeakyReLU: 'SmoothActivation',
    PReLU: 'SmoothActivation', ELU: 'SmoothActivation', GELU: 'SmoothActivation', SiLU: 'SmoothActivation',
    Hardswish: 'SmoothActivation', Mish: 'SmoothActivation', Hardsigmoid: 'Sigmoid', LogSoftmax: 'Softmax',
    Dropout2d: 'Dropout', DropPath: 'Dropout', StochasticDepth: 'Dropout', UpsamplingBilinear2d: 'Upsample', PixelShuffle: 'Upsample',
    cat: 'Concat', concatenate: 'Concat', add: 'Sum', __iadd__: 'Sum', mul: 'Product', interpolate: 'Resize', flatten: 'Flatten',
    MultiheadAttention: 'Attention', SegformerEfficientSelfAttention: 'Attention', SqueezeExcite: 'SqueezeExcitation',
    MLP: 'Mlp', SegformerMixFFN: 'Mlp', PatchEmbed: 'PatchEmbed', MBConv: 'InvertedResidual', DepthwiseSeparableConv: 'Separable',
    ASPPPooling: 'ASPP', PSPModule: 'ASPP', UnetDecoder: 'Decoder', FCNHead: 'Head', ResNet: 'Network', DeepLabV3: 'Network',
    IntermediateLayerGetter: 'Sequential', SwinTransformerBlock: 'Attention', CNBlock: 'BasicBlock', ReLU6: 'ReLU6',
    Whatever: undefined, '': undefined,
  };
  const wrong = Object.entries(alike).filter(([kind, as]) => kindOf(kind, t.has) !== as);
  assert.deepEqual(wrong.map(([kind, as]) => [kind, as, kindOf(kind, t.has)]), []);
});

test('the words come in the language of the page, in parts with their terms or plain', (context) => {
  context.after(() => { delete globalThis.segdemoLanguage; });
  for (const [language, word] of [['en', 'kernels'], ['zh', '卷积核']]) {
    globalThis.segdemoLanguage = language;
    const text = explain('of a stranger', 'conv1', 'Conv2d');
    assert.match(text, new RegExp(word));
    assert.doesNotMatch(text, /\[\[|\]\]/);
    assert.equal(explained('of a stranger', 'conv1', 'Conv2d').map((part) => part.text).join(''), text);
    assert.deepEqual(explained('of a stranger', 'conv1', 'Conv2d').filter((part) => part.term).map((part) => part.term), ['convolution']);
  }
});

test('no label, no kind and no network is still a stage of which something can be said', () => {
  for (const nothing of [undefined, null, '']) assert.equal(explain(nothing, nothing, nothing), textsOf('words')('kind.other'));
});

test('every term that a text marks is in the glossary', () => {
  for (const table of Object.values(TEXTS)) {
    for (const [component, texts] of Object.entries(table)) {
      for (const [name, text] of Object.entries(texts)) {
        for (const [, term] of text.matchAll(/\[\[([^|\]]+)/g)) {
          assert.ok(`${term}.text` in table.glossary, `${component}.${name}: ${term}`);
        }
      }
    }
  }
});
