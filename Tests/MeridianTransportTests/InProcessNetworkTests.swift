import Foundation
import MeridianCore
import MeridianReplica
import Synchronization
import Testing

@testable import MeridianTransport

@Suite struct InProcessNetworkTests {
    /// What one node got, and when.
    private final class Inbox: Sendable {
        let frames = Mutex<[(at: Int64, term: UInt64, thread: String?)]>([])

        func receive(_ frame: NodeFrame) {
            guard case .reply(let reply)? = frame.messages.first else { return }
            frames.withLock { $0.append((MonotonicTime.nanoseconds(), reply.id.rawValue, Thread.current.name)) }
        }

        func wait(for count: Int) async {
            for _ in 0..<500 where frames.withLock({ $0.count }) < count {
                try? await Task.sleep(for: .milliseconds(4))
            }
        }
    }

    private func frame(_ number: UInt64, to: UInt32 = 2, from: UInt32 = 1) -> NodeFrame {
        let reply = RangeReply(id: GatewayRequestID(rawValue: number), range: RangeID(1), body: .unknown)
        return NodeFrame(from: NodeID(from), to: NodeID(to), clock: nil, sent: .zero, messages: [.reply(reply)])
    }

    private func distant() throws -> Topology {
        try Topology.aws(["us-east-1", "us-east-2"], nodesPerRegion: 1)
    }

    @Test func aFrameTakesHalfTheRoundTripAndKeepsItsPlace() async throws {
        let topology = try distant()
        let network = InProcessNetwork(topology: topology, jitterFraction: 0.5, seed: 1)
        defer { network.stop() }
        let inbox = Inbox()
        network.attach(NodeID(2)) { inbox.receive($0) }
        let start = MonotonicTime.nanoseconds()
        for number in 0..<200 { network.send(frame(UInt64(number))) }
        await inbox.wait(for: 200)
        let frames = inbox.frames.withLock { $0 }
        let oneWay = topology.matrix.oneWayNanoseconds(from: "us-east-1", to: "us-east-2")
        #expect(frames.map(\.term) == Array(0..<200))
        #expect(frames.allSatisfy { $0.at - start >= oneWay })
        #expect(network.frameCount == 200)
    }

    @Test func withoutDelayAFrameIsHandedOverInTheSendersCall() throws {
        let network = InProcessNetwork(topology: try Topology.local(nodes: 2), jitterFraction: 0, seed: 1)
        defer { network.stop() }
        let inbox = Inbox()
        network.attach(NodeID(2)) { inbox.receive($0) }
        network.send(frame(7))
        #expect(inbox.frames.withLock { $0.map(\.term) } == [7])
    }

    @Test func aCutNodeLosesWhatIsSentAndWhatIsUnderWay() async throws {
        let network = InProcessNetwork(topology: try distant(), jitterFraction: 0, seed: 1)
        defer { network.stop() }
        let inbox = Inbox()
        network.attach(NodeID(2)) { inbox.receive($0) }
        network.send(frame(1))
        network.cut(NodeID(2))
        network.send(frame(2))
        try await Task.sleep(for: .milliseconds(60))
        #expect(inbox.frames.withLock { $0.isEmpty })
        network.heal(NodeID(2))
        network.send(frame(3))
        await inbox.wait(for: 1)
        #expect(inbox.frames.withLock { $0.map(\.term) } == [3])
    }

    @Test func aCutRegionHearsItselfAlone() async throws {
        let topology = try Topology.aws(["us-east-1", "us-east-2"], nodesPerRegion: 2)
        let network = InProcessNetwork(topology: topology, jitterFraction: 0, seed: 1)
        defer { network.stop() }
        let (near, far) = (Inbox(), Inbox())
        let nodes = topology.nodes(in: "us-east-1").map(\.id)
        guard let other = topology.nodes(in: "us-east-2").first?.id else { return }
        network.attach(nodes[1]) { near.receive($0) }
        network.attach(other) { far.receive($0) }
        func send(_ number: UInt64) {
            for to in [nodes[1], other] {
                network.send(frame(number, to: to.rawValue, from: nodes[0].rawValue))
            }
        }
        send(1)
        network.cut("us-east-1")
        send(2)
        try await Task.sleep(for: .milliseconds(60))
        #expect(near.frames.withLock { $0.map(\.term) } == [1, 2])
        #expect(far.frames.withLock { $0.isEmpty })
        network.heal("us-east-1")
        send(3)
        await far.wait(for: 1)
        #expect(far.frames.withLock { $0.map(\.term) } == [3])
    }

    @Test func aDetachedNodeGetsNothing() throws {
        let network = InProcessNetwork(topology: try Topology.local(nodes: 2), jitterFraction: 0, seed: 1)
        defer { network.stop() }
        let inbox = Inbox()
        network.attach(NodeID(2)) { inbox.receive($0) }
        network.detach(NodeID(2))
        network.send(frame(1))
        #expect(inbox.frames.withLock { $0.isEmpty })
    }

    @Test func nothingIsDeliveredAfterTheStop() throws {
        let network = InProcessNetwork(topology: try Topology.local(nodes: 2), jitterFraction: 0, seed: 1)
        let inbox = Inbox()
        network.attach(NodeID(2)) { inbox.receive($0) }
        network.stop()
        network.send(frame(1))
        #expect(inbox.frames.withLock { $0.isEmpty })
    }
}
