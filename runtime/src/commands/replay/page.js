'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const $ = (id) => document.getElementById(id);
const ROWS = 500, LANES = 100;
let rows = ROWS;

// Text goes in as text, never as markup: names and messages were written by anybody.
function make(name, attributes, ...children) {
  const svg = name === 'svg' || name === 'rect' || name === 'title';
  const node = svg ? document.createElementNS('http://www.w3.org/2000/svg', name)
                   : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const time = (ms) => new Date(ms).toISOString();
const nameOf = (object) => object === null ? 'operator' : data.objects[object].name;

// Entries of all runs in one list, oldest first; what both runs have alike is one entry.
function merged() {
  const first = data.runs[0].entries.map((entry) => ({ entry, runs: [entry[3]] }));
  if (data.runs.length < 2) return first;
  const known = new Map();
  for (const row of first) {
    const key = JSON.stringify(row.entry.slice(0, 4));
    known.set(key, (known.get(key) || []).concat([row]));
  }
  const all = first.slice();
  for (const entry of data.runs[1].entries) {
    const same = (known.get(JSON.stringify(entry.slice(0, 4))) || []).shift();
    if (same) same.runs[1] = entry[3]; else all.push({ entry, runs: [undefined, entry[3]] });
  }
  return all.sort((a, b) => a.entry[0] - b.entry[0]);
}

const all = merged();
for (const row of all) {
  const [at, object, kind] = row.entry;
  row.words = [time(at), nameOf(object), data.kinds[kind], ...row.runs].join(' ').toLowerCase();
}
const byObject = new Map();
for (const row of all) {
  if (row.entry[4] === undefined) continue;
  for (let run = 0; run < data.runs.length; run++) {
    if (row.runs[run] === undefined) continue;
    const key = run + '/' + row.entry[1];
    if (!byObject.has(key)) byObject.set(key, []);
    byObject.get(key).push(row.entry);
  }
}

function wanted() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const kinds = fragment.get('kinds');
  return {
    q: fragment.get('q') || '',
    object: fragment.get('object') || '',
    kinds: kinds === null ? data.kinds : kinds.split(','),
    differs: fragment.get('differs') === '1',
  };
}

function say(wish) {
  const fragment = new URLSearchParams();
  if (wish.q) fragment.set('q', wish.q);
  if (wish.object) fragment.set('object', wish.object);
  if (wish.kinds.length < data.kinds.length) fragment.set('kinds', wish.kinds.join(','));
  if (wish.differs) fragment.set('differs', '1');
  history.replaceState(null, '', '#' + fragment);
  rows = ROWS;
  show();
}

const colour = (state) => data.calm.includes(state) ? 'calm' : data.bad.includes(state) ? 'bad' : 'busy';

function bar(run, object) {
  const begin = data.begin, width = Math.max(1, data.end - begin);
  const moves = byObject.get(run + '/' + object) || [];
  const svg = make('svg', { viewBox: '0 0 1000 12', preserveAspectRatio: 'none', role: 'img' });
  const part = (from, to, state) => {
    const x = 1000 * (from - begin) / width;
    const rect = make('rect', { x, y: 0, height: 12, class: colour(state),
      width: Math.max(1, 1000 * (to - from) / width) });
    rect.append(make('title', {}, state + ' from ' + time(from) + ' to ' + time(to)));
    svg.append(rect);
  };
  moves.forEach((move, i) => {
    if (i === 0 && move[0] > begin) part(begin, move[0], move[4]);
    part(move[0], i + 1 < moves.length ? moves[i + 1][0] : data.end, move[5]);
  });
  if (moves.length === 0 && data.objects[object].state) part(begin, data.end, data.objects[object].state);
  return svg;
}

function lane(object, wish) {
  const thing = data.objects[object];
  const button = make('button', { class: 'object', type: 'button' }, thing.name);
  button.addEventListener('click', () => say({ ...wish, object: wish.object === thing.name ? '' : thing.name }));
  const bars = make('td', {}, ...data.runs.map((_, run) => bar(run, object)));
  const end = thing.gone ? 'gone' : thing.state || '';
  const cell = make('td', { class: 'text' }, end + (thing.waits ? '; ' + thing.waits : ''));
  if (thing.whatIf) cell.append(make('br'), 'what if: ' + thing.whatIf);
  const row = make('tr', { class: thing.whatIf ? 'lane differs' : 'lane' }, make('td', {}, button), bars, cell);
  return row;
}

function line(row, wish) {
  const [at, object, kind] = row.entry;
  const name = make('button', { class: 'object', type: 'button' }, nameOf(object));
  name.addEventListener('click', () => say({ ...wish, object: nameOf(object) }));
  const cells = data.runs.map((_, run) => make('td', { class: 'text' },
    make('span', { class: 'kind' }, row.runs[run] === undefined ? '' : data.kinds[kind]), row.runs[run] || ''));
  const differs = data.runs.length > 1 && (row.runs[0] === undefined || row.runs[1] === undefined);
  const classes = ['entry', data.kinds[kind], differs ? 'differs' : ''].join(' ').trim();
  return make('tr', { class: classes }, make('td', { class: 'time' }, time(at)), make('td', {}, name), ...cells);
}

function show() {
  const wish = wanted();
  const words = wish.q.toLowerCase().split(/\s+/).filter(Boolean);
  const kinds = new Set(wish.kinds);
  const found = all.filter((row) => kinds.has(data.kinds[row.entry[2]])
    && (!wish.object || nameOf(row.entry[1]) === wish.object)
    && (!wish.differs || row.runs.length < data.runs.length || row.runs.includes(undefined))
    && words.every((word) => row.words.includes(word)));
  const objects = [...new Set(found.map((row) => row.entry[1]))].filter((object) => object !== null);
  if ($('q').value !== wish.q) $('q').value = wish.q;
  document.querySelectorAll('input[name=kind]').forEach((box) => { box.checked = kinds.has(box.value); });
  if ($('differs')) $('differs').checked = wish.differs;
  $('lanes').replaceChildren(...objects.slice(0, LANES).map((object) => lane(object, wish)));
  $('entries').replaceChildren(...found.slice(0, rows).map((row) => line(row, wish)));
  $('count').textContent = found.length + ' of ' + all.length + ' entries, '
    + objects.length + ' of ' + data.objects.length + ' objects'
    + (objects.length > LANES ? '; the first ' + LANES + ' objects are drawn' : '');
  $('more').hidden = found.length <= rows;
  $('more').textContent = 'show more: ' + Math.max(0, found.length - rows) + ' entries follow';
  $('only').textContent = wish.object ? 'only ' + wish.object + ' (show all)' : '';
  $('only').hidden = !wish.object;
}

for (const kind of data.kinds) {
  const box = make('input', { type: 'checkbox', name: 'kind', value: kind });
  box.addEventListener('change', () => {
    const boxes = [...document.querySelectorAll('input[name=kind]')];
    say({ ...wanted(), kinds: boxes.filter((one) => one.checked).map((one) => one.value) });
  });
  $('kinds').append(make('label', {}, box, ' ' + kind));
}
if (data.runs.length > 1) {
  const box = make('input', { type: 'checkbox', id: 'differs' });
  box.addEventListener('change', () => say({ ...wanted(), differs: box.checked }));
  $('kinds').append(make('label', {}, box, ' only what differs'));
}
$('head').append(...['time', 'object', ...data.runs.map((run) => run.name)].map((name) => make('th', {}, name)));
$('q').addEventListener('input', () => say({ ...wanted(), q: $('q').value }));
$('more').addEventListener('click', () => { rows += ROWS; show(); });
$('only').addEventListener('click', () => say({ ...wanted(), object: '' }));
window.addEventListener('hashchange', () => { rows = ROWS; show(); });
show();
