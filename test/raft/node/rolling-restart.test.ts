/** An upgrade of one server after the other while the cluster works: real sockets, real folders, two versions of the protocol. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PATIENT, say, TestCluster, until } from './test-cluster.ts';

const OLD = { oldest: 1, newest: 1 };
const NEW = { oldest: 1, newest: 2 };
/** Speaks nothing that the old one does. */
const TOO_NEW = { oldest: 2, newest: 3 };

describe('a rolling restart', () => {
  it('from one version to the next loses nothing, and costs an election only where the leader is stopped', async () => {
    const cluster = await TestCluster.start(0, PATIENT);
    try {
      for (const id of ['server1', 'server2', 'server3']) {
        (await cluster.addMember(id as never)).versions = OLD;
      }
      for (const member of cluster.members) await cluster.open(member);
      const first = (await cluster.leader()).node.status().term;
      const said: string[] = [];
      let isOver = false;
      const talk = async (): Promise<void> => {
        for (let n = 0; !isOver; n++) {
          // One that was under way when the leader stopped may be unknown: it was not acknowledged.
          await say(cluster, `word${n}`).then(
            (answer) => said.push(answer),
            (error: unknown) => assert.match(String(error), /outcome of .* unknown/),
          );
        }
      };
      const talking = talk();
      let leadersStopped = 0;
      for (const member of cluster.members) {
        const leader = await cluster.leader();
        assert.equal(leader.node.commonVersion(), 1, 'before the last one is upgraded');
        if (leader.id === member.id) leadersStopped += 1;
        const before = said.length;
        await cluster.stop(member);
        await until('work to go on without it', () => said.length > before + 5);
        member.versions = NEW;
        const node = await cluster.open(member);
        await until('it to have caught up', () => {
          const running = cluster.running().find((other) => other.node.status().role === 'leader');
          return running !== undefined && node.status().commitIndex >= running.node.status().commitIndex - 5;
        });
      }
      isOver = true;
      await talking;
      const { node } = await cluster.leader();
      await until('all to be seen in the new version', () => node.commonVersion() === 2);
      const elections = node.status().term - first;
      assert.ok(
        elections <= leadersStopped,
        `${elections} elections, the leader was stopped ${leadersStopped} times`,
      );
      const { commitIndex } = node.status();
      await until('all to have everything', () =>
        cluster.running().every((member) => member.node.status().appliedIndex >= commitIndex),
      );
      for (const { machine } of cluster.members) {
        const words = new Set(machine.words);
        for (const answer of said) assert.ok(words.has(answer.split('@')[0]!), `${answer} is lost`);
      }
    } finally {
      await cluster.close();
    }
  });

  it('over two versions at once is refused: the server that is too new takes no part, the others go on', async () => {
    const cluster = await TestCluster.start(0);
    try {
      for (const id of ['server1', 'server2', 'server3']) {
        (await cluster.addMember(id as never)).versions = id === 'server3' ? TOO_NEW : OLD;
      }
      for (const member of cluster.members) await cluster.open(member);
      await say(cluster, 'a');
      const refusal =
        /speaks versions 2 to 3 of the protocol, this server version 1: upgrade one version after the other/;
      await until('the refusal', () => cluster.transportLines.some((line) => refusal.test(line)));
      await say(cluster, 'b');
      const tooNew = cluster.members[2]!;
      assert.equal(tooNew.node?.status().commitIndex, 0);
      assert.equal(tooNew.node.status().term, 0, 'it does not even disturb');
      const told = cluster.transportLines.filter(
        (line) => line.startsWith('server1: raft: refused') && refusal.test(line),
      );
      assert.equal(told.length, 1, 'said once, not at each attempt');
    } finally {
      await cluster.close();
    }
  });
});
