/** Openings of a clause without a head: "What an access token says" for "Claims of an access token". */
const HEADLESS = /^(What|Who|Whose|Whom|Where|Whether|Which|How|When)\b/;

/** The text of a comment, without its stars. */
const textOf = ({ value }) => value.replace(/^[\s*]+/, '');

/** Tells whether a line comment goes on with the comment on the line above. */
function continues(comment, before) {
  return comment.type === 'Line' && before?.type === 'Line' && before.loc.end.line === comment.loc.start.line - 1;
}

/** Refuses a comment that opens with a question word: it has to open with the noun or the verb that it is about. */
export const commentOpenings = {
  meta: {
    type: 'suggestion',
    docs: { description: 'require a comment to open with a noun or a verb' },
    messages: { headless: 'Open the comment with a noun or a verb, not with "{{word}}".' },
    schema: [],
  },
  create(context) {
    return {
      Program() {
        const comments = context.sourceCode.getAllComments();
        for (const [index, comment] of comments.entries()) {
          const word = HEADLESS.exec(textOf(comment))?.[1];
          if (word === undefined || continues(comment, comments[index - 1])) continue;
          context.report({ loc: comment.loc, messageId: 'headless', data: { word } });
        }
      },
    };
  },
};
