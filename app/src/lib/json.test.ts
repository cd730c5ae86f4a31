import { describe, expect, it } from 'vitest';
import { parsed } from './json';

describe('parsed', () => {
  it('reads JSON, and nothing of what is none', () => {
    expect(parsed('{"a": [1]}')).toEqual({ a: [1] });
    expect(parsed(null)).toBeNull();
    expect(parsed('{')).toBeNull();
  });

  it.each([
    ['lists', '['.repeat(5000) + ']'.repeat(5000)],
    ['objects', '{"a":'.repeat(5000) + '1' + '}'.repeat(5000)],
    ['a list beside others', `[1, ${'['.repeat(201)}${']'.repeat(201)}]`]
  ])('refuses what is nested too deep: %s', (_, text) => {
    expect(parsed(text)).toBeNull();
  });

  it('takes what is long and flat', () => {
    expect(parsed(JSON.stringify(Array.from({ length: 100_000 }, () => ['['])))).toHaveLength(100_000);
  });
});
