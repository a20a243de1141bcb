import MeridianConsensus
import MeridianCore

/// What clients, operators and bad luck do to the cluster.
extension SimulatedCluster {
    mutating func actAsClient() {
        let slot = Int(random.below(UInt64(nodes.count)))
        let target = nodes.firstIndex { $0.isUp && $0.raft.role == .leader && random.below(8) != 0 } ?? slot
        guard nodes[target].isUp else { return }
        switch random.below(20) {
        case 0..<12:
            var proposals: [Proposal] = []
            for _ in 0...random.below(4) {
                proposals.append(Proposal(id: ProposalID(rawValue: nextProposal), payload: .numbered(nextProposal)))
                invariants.propose(ProposalID(rawValue: nextProposal))
                nextProposal += 1
            }
            step(target, .propose(proposals))
        case 12..<16:
            let id = ReadID(rawValue: nextRead)
            nextRead += 1
            invariants.read(id)
            step(target, .readIndex(id))
        case 16 where !isCalm:
            step(target, .transferLeadership(to: NodeID(UInt32(random.below(UInt64(nodes.count)) + 1))))
        case 17 where options.changesMembers && !isCalm:
            changeMembers(target)
        case 18:
            nodes[target].checkpoint = nodes[target].appliedIndex
            let index = LogIndex(nodes[target].appliedIndex.rawValue * 3 / 4)
            guard index <= nodes[target].raft.appliedIndex else { return }
            nodes[target].compact(through: index)
            step(target, .compact(index))
        case 19 where !isCalm:
            step(target, .unreachable(NodeID(UInt32(random.below(UInt64(nodes.count)) + 1))))
        default:
            step(target, .wake)
        }
    }

    mutating func changeMembers(_ slot: Int) {
        let current = nodes[slot].raft.membership
        var target: [Member] = []
        let regions: [Region] = ["eu", "us", "ap"]
        for number in 1...options.nodes {
            let node = NodeID(number)
            let region = regions[Int(number - 1) % 3]
            // The last node is only ever a witness, since one cannot become anything else.
            let isWitness = number == options.nodes
            switch (current[node]?.role, random.below(4)) {
            case (let role?, 0..<3):
                target.append(Member(node: node, region: region, role: role == .learner ? .voter : role))
            case (nil, 0..<2): target.append(Member(node: node, region: region, role: isWitness ? .witness : .learner))
            case (.voter?, _) where random.below(2) == 0:
                target.append(Member(node: node, region: region, role: .learner))
            default: break
            }
        }
        let id = ProposalID(rawValue: nextProposal)
        nextProposal += 1
        invariants.propose(id)
        step(slot, .changeMembership(MembershipChange(target: target), id))
    }

    mutating func injectFault() {
        let slot = Int(random.below(UInt64(nodes.count)))
        switch random.below(7) {
        case 6:
            forgetPromises()
        case 0, 1:
            guard nodes[slot].isUp else { return }
            nodes[slot].crash()
            unflushed[slot] = nil
            schedule(.restart(nodes[slot].id), in: Int64(random.below(300)) * Self.millisecond)
        case 2:
            isolate(slot)
        case 3:
            for other in nodes.indices where other != slot && random.below(2) == 0 {
                blocked.insert(Link(from: nodes[slot].id, to: nodes[other].id))
            }
            schedule(.healLinks, in: Int64(random.below(400)) * Self.millisecond)
        case 4:
            for other in nodes.indices where other != slot && random.below(2) == 0 {
                blocked.insert(Link(from: nodes[other].id, to: nodes[slot].id))
            }
            schedule(.healLinks, in: Int64(random.below(400)) * Self.millisecond)
        default:
            clockless[slot] = random.below(3) == 0
            clockErrors[slot] = Int64(random.below(40)) * Self.millisecond
        }
    }

    mutating func isolate(_ slot: Int) {
        for other in nodes.indices where other != slot {
            blocked.insert(Link(from: nodes[slot].id, to: nodes[other].id))
            blocked.insert(Link(from: nodes[other].id, to: nodes[slot].id))
        }
        schedule(.healLinks, in: Int64(random.below(400)) * Self.millisecond)
    }

    /// Everybody but the leader restarts at once and is asked to campaign, while the leader still holds its lease.
    mutating func forgetPromises() {
        guard let leader = nodes.firstIndex(where: { $0.isUp && $0.raft.leaseExpiration != nil }) else { return }
        for other in nodes.indices where other != leader {
            blocked.insert(Link(from: nodes[leader].id, to: nodes[other].id))
            blocked.insert(Link(from: nodes[other].id, to: nodes[leader].id))
            guard nodes[other].isUp else { continue }
            nodes[other].crash()
            unflushed[other] = nil
            schedule(.restart(nodes[other].id), in: 1)
            schedule(.campaign(nodes[other].id), in: Int64(random.below(20) + 1) * Self.millisecond)
        }
        schedule(.healLinks, in: Int64(random.below(300)) * Self.millisecond)
    }
}
