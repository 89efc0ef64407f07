/** Puts values where `{name}` stands; of `{count|one|other}` the form that the number asks for in a language. */
export function fill(text: string, values: Record<string, string | number>, language: string): string {
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (_, name: string, one?: string, other?: string) => {
    const value = values[name] ?? "";
    if (other === undefined) return String(value);
    return (new Intl.PluralRules(language).select(Number(value)) === "one" ? one : other) ?? "";
  });
}
