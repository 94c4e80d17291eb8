import type { Logger } from './logger'

export type Result<T> = { ok: true; value: T } | { ok: false; error: Error }

/** What a job can be. */
export enum State {
  Waiting = 'waiting',
  Done = 'done',
}

export interface Job<T = unknown> {
  readonly id: string
  run(signal: AbortSignal): Promise<T>
}

declare module './logger' {
  interface Logger {
    job(id: string): void
  }
}

namespace Limits {
  export const perQueue = 100
  export function clamp(n: number): number {
    return Math.min(n, perQueue)
  }
}

function injectable() {
  return (target: Function) => target
}

@injectable()
export class Queue<T> implements Iterable<Job<T>> {
  private readonly jobs: Job<T>[] = []
  static instances = 0

  constructor(
    private readonly log: Logger,
    readonly name = 'default',
  ) {
    Queue.instances += 1
  }

  push(job: Job<T>): number
  push(job: Job<T>, ...more: Job<T>[]): number {
    return this.jobs.push(job, ...more)
  }

  @memo()
  get length(): number {
    return this.jobs.length
  }

  *[Symbol.iterator]() {
    yield* this.jobs
  }

  drain = async (signal: AbortSignal): Promise<Result<T>[]> => {
    const results: Result<T>[] = []
    for (const job of this.jobs) {
      try {
        results.push({ ok: true, value: await job.run(signal) })
      } catch (error) {
        results.push({ ok: false, error: error as Error })
      }
    }
    return results
  }
}

export abstract class Worker {
  abstract start(queue: Queue<unknown>): void
}

export const makeQueue = <T,>(log: Logger): Queue<T> => new Queue<T>(log)
export default makeQueue
