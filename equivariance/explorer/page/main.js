// Begin: learn what there is to choose from, then show what the link says.

import { change } from "./changing.js";
import { listenToControls } from "./controls.js";
import { listenToCurve, listenToDrags } from "./dragging.js";
import { problem } from "./elements.js";
import { linked, listenToLinks } from "./link.js";
import { choices } from "./requests.js";
import { session } from "./session.js";
import { fillMenus } from "./settings.js";

async function begin() {
  try {
    const { menus, state } = await choices();
    Object.assign(session, { menus, defaults: state });
  } catch (error) {
    problem(error);
    return;
  }
  fillMenus();
  listenToControls();
  listenToDrags();
  listenToCurve();
  listenToLinks(change);
  change(linked());
}

begin();
