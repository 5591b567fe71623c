/** The system's name of what went wrong: `ENOENT`, `EACCES`, `EISDIR`. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
