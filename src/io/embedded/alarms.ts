// etcd's alarms: conditions that hold until a person takes them back, however often the server is started.

/** etcdserverpb.AlarmType. */
export const AlarmType = { NONE: 0, NOSPACE: 1, CORRUPT: 2 } as const;

export interface Alarm {
  readonly memberId: string;
  /** An {@link AlarmType}. */
  readonly alarm: number;
}

export class Alarms {
  #active: readonly Alarm[] = [];

  /** Has any member raised it? */
  isActive(alarm: number): boolean {
    return this.#active.some((active) => active.alarm === alarm);
  }

  has(memberId: string, alarm: number): boolean {
    return this.#active.some((active) => active.memberId === memberId && active.alarm === alarm);
  }

  set(memberId: string, alarm: number, active: boolean): void {
    const others = this.#active.filter((other) => other.memberId !== memberId || other.alarm !== alarm);
    this.#active = active ? [...others, { memberId, alarm }] : others;
  }

  /** All that are active, or those of one type. */
  list(alarm: number = AlarmType.NONE): readonly Alarm[] {
    return alarm === AlarmType.NONE ? this.#active : this.#active.filter((active) => active.alarm === alarm);
  }
}
