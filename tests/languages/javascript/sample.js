'use strict'

const http = require('node:http')
import { once } from 'node:events'

const MAX_BODY = 1024 * 1024
let counter = 0

/**
 * Reads the whole body of a request.
 * @param {http.IncomingMessage} request
 */
async function readBody(request, { limit = MAX_BODY } = {}) {
  const parts = []
  let size = 0
  for await (const part of request) {
    size += part.length
    if (size > limit) throw new RangeError('body too large')
    parts.push(part)
  }
  return Buffer.concat(parts)
}

const sendJson = (response, status, value) => {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

export class Router extends Map {
  #routes = new Map()
  static defaults = { strict: true }

  constructor(options) {
    super()
    this.options = { ...Router.defaults, ...options }
  }

  // Later routes win.
  add(method, path, handler) {
    this.#routes.set(`${method} ${path}`, handler)
    return this
  }

  get size() {
    return this.#routes.size
  }

  handle = async (request, response) => {
    const handler = this.#routes.get(`${request.method} ${request.url}`)
    if (!handler) return sendJson(response, 404, { error: 'not found' })
    return handler(request, response)
  }
}

export default function listen(router, port = 8080) {
  return http.createServer(router.handle).listen(port)
}

module.exports.health = function (request, response) {
  sendJson(response, 200, { counter: counter++ })
}

Router.prototype.remove = function remove(path) {
  delete this[path]
}

const handlers = {
  ping(request, response) {
    sendJson(response, 200, 'pong')
  },
  echo: async (request, response) => sendJson(response, 200, (await readBody(request)).toString()),
}

function* ids() {
  while (true) yield counter++
}

describe('Router', () => {
  it('finds a route', async () => {
    await once(listen(new Router()), 'listening')
  })
})
