// What this page is about. Everybody reads it; who changes an entry is said beside it.
export const session = {
  menus: null, // what there is to choose from (main.js)
  defaults: null, // the state of a page without a link (main.js)
  state: null, // what is wanted (changing.js)
  shown: null, // the state that the last answer belongs to (asking.js)
  view: null, // … and the answer (asking.js)
  curve: null, // errors along a line (asking.js)
  trail: [], // translations where the user has been, and the errors there (asking.js)
};
