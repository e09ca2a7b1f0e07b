// The pages, in their order. A page is a module with
//   path    what stands in the address, after `#/`
//   title   what the navigation and the head of the page say
//   open(at, { query, status })   builds its content in `at`, and gives back what it can do:
//     refresh()   asks again for what is shown, at once and then every few seconds while somebody looks;
//                 what it throws is shown above the page, and a 401 ends the session
//     moved(query)   the address has another query now; without it the page is opened anew
//     close()     another page comes
// where `query` are the parameters of the address (`address.js` goes elsewhere), and `status` what the server
// says of itself and of who asks. Its file stands in `http/page.rs`, too.

import * as events from './events.js';
import * as money from './money.js';
import * as overview from './overview.js';
import * as people from './people.js';
import * as playground from './playground.js';
import * as rooms from './rooms.js';
import * as sale from './sale.js';
import * as system from './system.js';
import * as why from './why.js';

export const PAGES = [overview, people, rooms, events, why, sale, money, system, playground];
