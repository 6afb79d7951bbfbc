// How numbers are written, and what a map's values come down to. Pure functions.

export const unusual = (value) => Number.isNaN(value) ? 'NaN' : value > 0 ? '+inf' : '-inf';

// A number with so many digits that count; null is a dash.
export const figure = (value, digits = 3) => {
  if (value === null || value === 0) return value === 0 ? '0' : '–';
  if (!Number.isFinite(value)) return unusual(value);
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) return String(Number(value.toPrecision(digits)));
  return value.toExponential(digits - 1).replace(/\.?0+e/, 'e').replace('e+', 'e');
};

// Both ends of a range, with as many digits as it takes to tell them apart.
export const figures = (low, high) => {
  let digits = 3;
  while (digits < 8 && low !== high && figure(low, digits) === figure(high, digits)) digits++;
  return [figure(low, digits), figure(high, digits)];
};

export const exactly = (value) => value === 0 || !Number.isFinite(value) ? figure(value) : value.toPrecision(6);

export const whole = (count) => count.toLocaleString('en');

// A share in [0, 1]: 0% is none of it, 100% all of it.
export const percent = (share) => {
  const hundred = 100 * share;
  if (hundred > 0 && hundred < 0.1) return '<0.1%';
  if (hundred > 99.9 && hundred < 100) return '>99.9%';
  return (hundred < 10 ? Number(hundred.toFixed(1)) : Math.min(hundred.toFixed(hundred > 99 ? 1 : 0), 100)) + '%';
};

// A share in percent, as the legend has it.
export const shareText = (hundred) => hundred < 0.05 ? '< 0.1 %' : hundred.toFixed(1) + ' %';

// A probability out of 256 levels: whole percents are all they can tell.
export const probabilityText = (level) => {
  const hundred = level / 2.55;
  return hundred >= 99.5 ? '> 99 %' : hundred < 0.5 ? '< 1 %' : Math.round(hundred) + ' %';
};

// A probability in [0, 1], to a tenth of a percent.
export const oddsText = (odds) => odds > 0 && odds < 0.001 ? '< 0.1 %' : (100 * odds).toFixed(1) + ' %';

export const secondsText = (seconds) => seconds < 1 ? `${seconds < 0.01 ? Number((seconds * 1000).toPrecision(2)) : Math.round(seconds * 1000)} ms` : `${seconds.toPrecision(3)} s`;

// Minimum, maximum, mean and standard deviation of what is finite; null where nothing is. Counts of the rest.
export const describe = (values) => {
  const facts = {low: Infinity, high: -Infinity, mean: null, std: null, zeros: 0, nans: 0, infinities: 0};
  let sum = 0;
  let finite = 0;
  for (const value of values) {
    if (Number.isNaN(value)) facts.nans++;
    else if (!Number.isFinite(value)) facts.infinities++;
    else {
      [finite, sum] = [finite + 1, sum + value];
      if (value < facts.low) facts.low = value;
      if (value > facts.high) facts.high = value;
      if (value === 0) facts.zeros++;
    }
  }
  if (!finite) return {...facts, low: null, high: null};
  facts.mean = sum / finite;
  let squares = 0;
  for (const value of values) if (Number.isFinite(value)) squares += (value - facts.mean) ** 2;
  facts.std = Math.sqrt(squares / finite);
  return facts;
};

// NumPy's own file format, version 1.0: magic, length of the header, header padded to a multiple of 64, raw values.
export const npy = (values, height, width) => {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${height}, ${width}), }`;
  const header = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + '\n';
  const start = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8);
  return new Blob([start, header, values.buffer], {type: 'application/octet-stream'});
};

const LONGEST_RUN = 4096; // of "first-last"

// The whole numbers of a list such as "3, 5-7"; none for an empty one, null for what is no such list.
export const numbersIn = (text) => {
  const parts = text.split(/[\s,;，、；]+/).filter(Boolean).map((part) => /^(\d{1,6})(?:[-–](\d{1,6}))?$/.exec(part));
  if (parts.includes(null)) return null;
  const runs = parts.map(([, first, last = first]) => [Number(first), Number(last)]);
  if (runs.some(([first, last]) => last < first || last - first > LONGEST_RUN)) return null;
  return [...new Set(runs.flatMap(([first, last]) => Array.from({length: last - first + 1}, (_, index) => first + index)))];
};
