import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import ts from 'typescript';

const root = join(import.meta.dirname, '../..');
/** The kit is a package of its own: its exports are for others. */
const PUBLISHED = join(root, 'src/resource-server/');
const EVERYTHING = '*';

type Uses = Map<string, Set<string>>;

function parse(path: string): ts.SourceFile {
  return ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest);
}

/** Notes the names that a file takes from other files. A dynamic import takes everything. */
function noteUses(file: ts.SourceFile, uses: Uses): void {
  const note = (from: ts.Expression | undefined, names: readonly string[]): void => {
    if (from === undefined || !ts.isStringLiteral(from) || !from.text.startsWith('.')) return;
    const path = resolve(dirname(file.fileName), from.text);
    uses.set(path, new Set([...(uses.get(path) ?? []), ...names]));
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      const bindings = node.importClause?.namedBindings;
      const isNamed = bindings !== undefined && ts.isNamedImports(bindings);
      const names = isNamed ? bindings.elements.map(({ name, propertyName }) => (propertyName ?? name).text) : [];
      note(node.moduleSpecifier, bindings === undefined || isNamed ? names : [EVERYTHING]);
    } else if (ts.isExportDeclaration(node)) note(node.moduleSpecifier, [EVERYTHING]);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      note(node.arguments[0], [EVERYTHING]);
    ts.forEachChild(node, visit);
  };
  visit(file);
}

function exportedNames({ statements }: ts.SourceFile): string[] {
  return statements.flatMap((statement) => {
    const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
    if (!modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return [];
    const declared = ts.isVariableStatement(statement)
      ? statement.declarationList.declarations
      : [statement as ts.Node as ts.DeclarationStatement];
    return declared.flatMap(({ name }) => (name !== undefined && ts.isIdentifier(name) ? [name.text] : []));
  });
}

describe('The exports of src/', () => {
  it('Another file of src/ or a test imports every export', () => {
    const files = globSync('{src,test}/**/*.ts', { cwd: root }).map((path) => parse(join(root, path)));
    const uses: Uses = new Map();
    for (const file of files) noteUses(file, uses);
    const own = files.filter(
      ({ fileName: path }) => path.startsWith(join(root, 'src/')) && !path.startsWith(PUBLISHED),
    );
    const exported = own.flatMap((file) => exportedNames(file).map((name) => ({ path: file.fileName, name })));
    assert.ok(exported.length > 500, 'the exports are found');
    const unused = exported.filter(({ path, name }) => {
      const used = uses.get(path);
      return used?.has(name) !== true && used?.has(EVERYTHING) !== true;
    });
    assert.deepEqual(
      unused.map(({ path, name }) => `${path.slice(root.length + 1)}: ${name}`),
      [],
    );
  }).timeout(120_000);
});
