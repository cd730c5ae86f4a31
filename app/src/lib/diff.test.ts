import { describe, expect, it } from 'vitest';
import { diffLines, fields } from './diff';
import { parsed } from './json';
import type { Change } from './records';

const change = (before: unknown, after: unknown, more: Partial<Change> = {}): Change => ({
  address: 'a.b',
  action: 'change',
  reason: '',
  before,
  after,
  movedFrom: '',
  imported: false,
  replacePaths: [],
  changed: [],
  ...more
});
const signs = (before: string, after: string): string[] =>
  diffLines(before, after).map((line) => line.sign + line.text);

describe('fields', () => {
  it('names nested fields by their path and leaves out equal ones', () => {
    const found = fields(change({ a: 1, tags: { x: '1', y: '2' } }, { a: 1, tags: { x: '1', y: '3' } })).shown;
    expect(found).toMatchObject([{ path: 'tags.y', sign: '~', before: '2', after: '3' }]);
  });

  it('shows every digit of a number', () => {
    const [before, after] = [
      parsed('{"a": 9007199254740993, "b": [0.12345678901234567890]}'),
      parsed('{"a": 9007199254740992}')
    ];
    expect(fields(change(before, after)).shown).toMatchObject([
      { path: 'a', sign: '~', before: '9007199254740993', after: '9007199254740992' },
      { path: 'b.0', sign: '-', before: '0.12345678901234567890' }
    ]);
  });

  it('distinguishes created from removed fields', () => {
    expect(fields(change(null, { a: [1, 2] })).shown.map((field) => field.sign + field.path)).toEqual(['+a.0', '+a.1']);
    expect(fields(change({ a: 'x' }, null)).shown).toMatchObject([{ sign: '-', path: 'a', before: 'x', after: null }]);
  });

  it('marks fields that force a replacement, nested ones too', () => {
    const found = fields(change({ a: { b: 1 }, c: 1 }, { a: { b: 2 }, c: 2 }, { replacePaths: ['a'] })).shown;
    expect(found.map((field) => [field.path, field.replaces])).toEqual([
      ['a.b', true],
      ['c', false]
    ]);
  });

  it('does not diff a text against a placeholder', () => {
    const [field] = fields(change({ a: 'one\ntwo\n' }, { a: '(known after apply)' })).shown;
    expect(field?.lines).toBeNull();
    expect(field?.after).toBe('(known after apply)');
  });

  it('shows the names of changed fields where values are hidden', () => {
    const found = fields(change({ a: '(hidden)' }, { a: '(hidden)' }, { changed: ['a'] })).shown;
    expect(found).toMatchObject([{ path: 'a', before: '(hidden)', after: '(hidden)' }]);
  });

  it('says how much it leaves out', () => {
    expect(fields(change(null, Object.fromEntries(Array.from({ length: 250 }, (_, n) => [`k${n}`, n])))).left).toBe(50);
    expect(fields(change(null, { a: 'x'.repeat(3000) })).shown[0]?.after).toContain('1000 more characters');
    expect(fields(change(null, { a: 'x\n'.repeat(40) })).shown[0]?.after).toContain('34 more lines');
  });

  it('treats keys such as __proto__ as plain keys', () => {
    const before = JSON.parse('{"__proto__": {"x": 1}, "constructor": 1}');
    expect(fields(change(before, null)).shown.map((field) => field.path)).toEqual(['__proto__.x', 'constructor']);
  });
});

describe('diffLines', () => {
  it('shows changed lines with context and folds the rest', () => {
    const before = Array.from({ length: 20 }, (_, n) => `line ${n}\n`).join('');
    expect(signs(before, before.replace('line 10\n', 'new\n'))).toEqual([
      '…8 unchanged lines',
      ' line 8',
      ' line 9',
      '-line 10',
      '+new',
      ' line 11',
      ' line 12',
      '…7 unchanged lines'
    ]);
  });

  it('shows that the trailing newline changed', () => {
    expect(signs('a\n', 'a')).toEqual([' a', '+(no trailing newline)']);
  });

  it('stays bounded for texts with nothing in common', () => {
    const [before, after] = ['a', 'b'].map((word) => Array.from({ length: 5000 }, (_, n) => `${word}${n}\n`).join(''));
    expect(diffLines(before ?? '', after ?? '').at(-1)?.text).toMatch(/more lines/);
  });
});
