import { describe, expect, it } from 'vitest';
import { json, parsed, plain } from './json';

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

  it.each([
    '12345678901234567890',
    '-9007199254740993',
    '0.1234567890123456789',
    '1e400',
    '1E-400',
    '3.14159265358979323846'
  ])('keeps every digit of a number: %s', (digits) => {
    expect(json(parsed(`[${digits}, {"a": ${digits}}, "${digits}"]`))).toBe(`[${digits},{"a":${digits}},"${digits}"]`);
    expect(plain(String(parsed(digits)))).toBe(digits);
  });

  it('leaves numbers that JavaScript has, and texts, as they are', () => {
    const value = {
      a: [0, -1, 1.5, 1e21, 9007199254740991, 0.1],
      b: '12345678901234567890',
      'c "12345678901234567890': null
    };
    expect(parsed(JSON.stringify(value))).toEqual(value);
    expect(plain('12345678901234567890')).toBe('12345678901234567890');
  });

  it('takes what is long and flat', () => {
    expect(parsed(JSON.stringify(Array.from({ length: 100_000 }, () => ['['])))).toHaveLength(100_000);
  });
});
