/// <reference lib="dom" />
// What runs in the page of a host: the table of its virtual machines, and the panel of one of them.

import { byId, element, setText } from './element.ts';
import { follow, keepToken, type Link } from './feed.ts';
import { FleetTable } from './fleet-table.ts';
import { History } from './history.ts';
import { VmPanel } from './vm-panel.ts';
import { type FleetData, type Sort, STATES, shownIn, stateOf, type View, type Vm, vmsOf } from './vms.ts';
import { digits, fate, notShown } from './words.ts';

const history = new History();
const states = new Set<string>();
let view: View = { states, text: '', sort: 'attention' };
let vms: readonly Vm[] = [];
let atMs = 0;

const search = byId<HTMLInputElement>('search');
const sort = byId<HTMLSelectElement>('sort');
const chips = new Map(STATES.map((state) => [state as string, chipOf(state)]));
const table = new FleetTable(byId('table'), history, (vm) => {
  location.hash = encodeURIComponent(vm.name);
});
const panel = new VmPanel(byId('panel'), () => {
  location.hash = '';
});
const followAgain = follow<FleetData>('data/events', take, showLink);

byId('chips').append(...chips.values());
search.addEventListener('input', () => change({ text: search.value }));
sort.addEventListener('change', () => change({ sort: sort.value as Sort }));
addEventListener('hashchange', showPanel);
addEventListener('keydown', (event) => {
  const isTyping = event.target instanceof HTMLInputElement;
  if (event.key === 'Escape' && panel.isOpen) location.hash = '';
  else if (event.key === '/' && !isTyping) search.focus();
  else if (event.key === 'ArrowDown' && event.target === search) table.focus();
  else return;
  event.preventDefault();
});
byId<HTMLFormElement>('login').addEventListener('submit', (event) => {
  event.preventDefault();
  keepToken(byId<HTMLInputElement>('token').value.trim());
  followAgain();
});

function take(data: FleetData): void {
  atMs = data.atMs;
  vms = vmsOf(data);
  setText(byId('host'), data.host);
  document.title = `${data.host} · vmm-metrics`;
  for (const vm of vms) if (vm.events !== null) history.take(vm.name, `${vm.pid} ${vm.startedAtMs}`, vm.events, atMs);
  history.keepOnly(new Set(vms.map(({ name }) => name)));
  const counts = Map.groupBy(vms, stateOf);
  for (const [state, chip] of chips) {
    const count = counts.get(state)?.length ?? 0;
    setText(chip.querySelector('b')!, digits(count));
    chip.hidden = count === 0 && !states.has(state);
  }
  setText(byId('others'), notShown(data.files, counts.get('unreadable')?.length ?? 0));
  show();
  showPanel();
}

function show(): void {
  const shown = shownIn(view, vms, (vm) => history.rateOf(vm.name), textOf);
  table.show(shown, atMs);
  const isAll = shown.length === vms.length;
  setText(byId('shown'), isAll ? `${digits(vms.length)} virtual machines` : `${digits(shown.length)} of ${digits(vms.length)}`);
  byId('empty').hidden = shown.length > 0;
  setText(byId('empty'), vms.length === 0 ? 'No region file was found yet.' : 'No virtual machine fits the filter.');
}

function showPanel(): void {
  const name = decodeURIComponent(location.hash.slice(1));
  const vm = name === '' ? undefined : vms.find((one) => one.name === name);
  document.body.classList.toggle('has-panel', vm !== undefined);
  if (vm !== undefined) panel.show(vm, atMs);
  else if (panel.isOpen) {
    panel.close();
    table.focus();
  }
}

function showLink(link: Link): void {
  byId('login').hidden = link !== 'needs a token';
  byId('lost').hidden = link !== 'lost';
}

function change(part: Partial<View>): void {
  view = { ...view, ...part };
  show();
}

function chipOf(state: string): HTMLButtonElement {
  const chip = element('button', 'chip', element('b', '', '0'), ` ${state}`);
  chip.dataset['state'] = state;
  chip.setAttribute('aria-pressed', 'false');
  chip.hidden = true;
  chip.addEventListener('click', () => {
    if (!states.delete(state)) states.add(state);
    chip.setAttribute('aria-pressed', `${states.has(state)}`);
    show();
  });
  return chip;
}

function textOf(vm: Vm): string {
  const properties = Object.entries(vm.properties ?? {}).map(([key, value]) => `${key}=${value}`);
  return [vm.name, vm.id ?? '', vm.store ?? '', vm.file, stateOf(vm), fate(vm, atMs), ...properties].join(' ');
}
