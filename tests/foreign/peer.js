// SPDX-License-Identifier: Apache-2.0
//
// A peer of whocand that shares no code with it: docs/links.md, over the npm package noise-handshake.
// tests/integration/test_foreign.py runs it: one JSON object on standard input says what to do, each
// line of JSON on standard output says what happened.
//
//   role     "initiator" (connect to port) or "responder" (listen, say so, take one connection)
//   org_id, secret, payload, static_secret, frames: hexadecimal. Without secret the MAC of message 1
//            is random (initiator) or not looked at (responder); without static_secret the key is new.
//   frames   sent when the handshake is complete
//   until    then frames are taken until one of this type has come
//   hold     say so then, and keep the link until standard input ends
'use strict'

const net = require('net')
const Noise = require('noise-handshake')
const Cipher = require('noise-handshake/cipher')
const sodium = require('sodium-universal')

const MAC_BYTES = 16
const KEY_BYTES = 32

const hex = (bytes) => Buffer.from(bytes).toString('hex')
const unhex = (text) => Buffer.from(text, 'hex')
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')

// Reads messages of a u16 length and as many bytes; null when the peer closed before one was whole.
class Messages {
  constructor (socket) {
    this.bytes = Buffer.alloc(0)
    this.received = 0
    this.ended = false
    this.wake = () => {}
    socket.on('data', (data) => {
      this.received += data.length
      this.bytes = Buffer.concat([this.bytes, data])
      this.wake()
    })
    const end = () => { this.ended = true; this.wake() }
    socket.on('end', end)
    socket.on('close', end)
    socket.on('error', end)
  }

  async next () {
    for (;;) {
      if (this.bytes.length >= 2 && this.bytes.length >= 2 + this.bytes.readUInt16BE(0)) {
        const length = this.bytes.readUInt16BE(0)
        const message = this.bytes.subarray(2, 2 + length)
        this.bytes = this.bytes.subarray(2 + length)
        return message
      }
      if (this.ended) return null
      await new Promise((resolve) => { this.wake = resolve })
    }
  }

  async end () {
    while (!this.ended) await new Promise((resolve) => { this.wake = resolve })
  }
}

function write (socket, message) {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  socket.write(Buffer.concat([length, message]))
}

function mac (secret, ephemeral) {
  const out = Buffer.alloc(MAC_BYTES)
  sodium.crypto_generichash(out, Buffer.concat([Buffer.from('whocan/1 hello'), ephemeral]), secret)
  return out
}

function begin (job) {
  const keys = job.static_secret && { secretKey: unhex(job.static_secret), publicKey: Buffer.alloc(KEY_BYTES) }
  if (keys) sodium.crypto_scalarmult_base(keys.publicKey, keys.secretKey)
  const noise = new Noise('XX', job.role === 'initiator', keys)
  noise.initialise(Buffer.concat([Buffer.from('whocan/1|'), unhex(job.org_id)]))
  return noise
}

async function initiate (job, socket, messages, result) {
  const noise = begin(job)
  noise.e = noise.curve.generateKeyPair() // before it is needed: the payload is a MAC of it
  const proof = Buffer.alloc(MAC_BYTES)
  if (job.secret) mac(unhex(job.secret), noise.e.publicKey).copy(proof)
  else sodium.randombytes_buf(proof)
  write(socket, noise.send(proof))
  const reply = await messages.next()
  if (reply === null) return null
  result.payload = hex(noise.recv(reply))
  result.remote_static = hex(noise.rs)
  write(socket, noise.send(unhex(job.payload)))
  return noise
}

async function respond (job, socket, messages, result) {
  const noise = begin(job)
  const hello = await messages.next()
  if (hello === null) return null
  const proof = noise.recv(hello)
  result.mac_is_right = !!job.secret && proof.equals(mac(unhex(job.secret), hello.subarray(0, KEY_BYTES)))
  write(socket, noise.send(unhex(job.payload)))
  const finish = await messages.next()
  if (finish === null) return null
  result.payload = hex(noise.recv(finish))
  result.remote_static = hex(noise.rs)
  return noise
}

async function frames (job, socket, messages, noise, result) {
  const tx = new Cipher(noise.tx)
  const rx = new Cipher(noise.rx)
  for (const frame of job.frames || []) write(socket, tx.encrypt(unhex(frame)))
  for (let type = 0; type !== (job.until || 0);) {
    const message = await messages.next()
    if (message === null) return
    const frame = rx.decrypt(message)
    result.frames.push(hex(frame))
    type = frame[1] // after the head of a short array
  }
}

async function talk (job, socket) {
  const result = { protocol: null, complete: false, frames: [] }
  const messages = new Messages(socket)
  const noise = await (job.role === 'initiator' ? initiate : respond)(job, socket, messages, result)
  if (noise !== null) {
    result.protocol = noise.protocol.toString()
    result.complete = noise.complete
    result.handshake_hash = hex(noise.hash)
    await frames(job, socket, messages, noise, result)
  }
  if (job.hold) say(result) // and stay linked until standard input ends
  else await messages.end()
  result.received_bytes = messages.received
  return result
}

function run (job) {
  if (job.role === 'initiator') {
    const socket = net.connect(job.port, '127.0.0.1')
    const failed = (error) => { say({ error: error.message }); process.exit(1) }
    socket.once('error', failed)
    socket.once('connect', () => { socket.off('error', failed); finish(job, socket) })
    return
  }
  const server = net.createServer((socket) => { server.close(); finish(job, socket) })
  server.listen(0, '127.0.0.1', () => say({ listening: server.address().port }))
}

async function finish (job, socket) {
  try {
    const result = await talk(job, socket)
    if (!job.hold) {
      say(result)
      socket.destroy()
    }
  } catch (error) {
    say({ error: error.message })
    process.exitCode = 1
    socket.destroy()
  }
}

let input = ''
process.stdin.setEncoding('utf8')
process.stdin.on('data', (text) => {
  input += text
  const end = input.indexOf('\n')
  if (end < 0) return
  run(JSON.parse(input.slice(0, end)))
  input = ''
})
process.stdin.on('end', () => process.exit())
