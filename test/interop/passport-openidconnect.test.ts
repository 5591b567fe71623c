import assert from 'node:assert/strict';
import express, { type RequestHandler } from 'express';
import session from 'express-session';
import passport from 'passport';
import { Strategy, type Profile, type VerifyCallback } from 'passport-openidconnect';
import { Browser } from '../support/browser.ts';
import { ADMIN, ALICE } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { startWebApp, webClientAt, type WebApp } from './web-app.ts';

describe('passport-openidconnect', () => {
  let server: TestServer;
  let app: WebApp;

  before(async () => {
    const port = await freePort();
    const url = `http://localhost:${port}`;
    const callbackURL = `${url}/callback`;
    server = await startTestServer({
      change: webClientAt(`${url}/`, { redirect_uris: [callbackURL], first_party: true }),
    });
    const authenticator = new passport.Passport();
    authenticator.use(
      new Strategy(
        {
          issuer: server.issuer,
          authorizationURL: `${server.issuer}/authorize`,
          tokenURL: `${server.issuer}/token`,
          userInfoURL: `${server.issuer}/userinfo`,
          clientID: 'demo-web',
          clientSecret: 'demo-web-secret',
          callbackURL,
          scope: ['profile', 'email'],
          skipUserProfile: false,
        },
        (_issuer: string, profile: Profile, done: VerifyCallback) => done(null, profile),
      ),
    );
    authenticator.serializeUser((user, done) => done(null, user));
    authenticator.deserializeUser((user: object, done) => done(null, user));
    const site = express();
    site.use(session({ secret: 'only-for-this-test', resave: false, saveUninitialized: false }));
    site.use(authenticator.session());
    const authenticate = (options = {}): RequestHandler =>
      authenticator.authenticate('openidconnect', options) as RequestHandler;
    site.get('/login', authenticate());
    site.get('/callback', authenticate({ successRedirect: '/me' }));
    site.get('/me', (request, response) => void response.json(request.user));
    app = await startWebApp(port, site);
  });
  after(async () => {
    await app.close();
    await server.close();
  });

  for (const person of [ALICE, ADMIN]) {
    it(`passport-openidconnect signs ${person.email} in with the setup of its own guide`, async () => {
      const browser = new Browser();
      const form = await browser.visit(`${app.url}/login`);
      assert.ok(form.url.startsWith(server.issuer), `${form.url}:\n${form.html}`);
      const page = await browser.submit(form, { ...person });
      assert.equal(page.status, 200, page.html);
      const profile = JSON.parse(page.html) as Profile;
      assert.equal(profile.emails?.[0]?.value, person.email);
    });
  }
});
