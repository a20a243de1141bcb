import Foundation
import Meridian
import Testing

/// README.md's example is the code between the two marks below: compiled here, run here, and compared with the page,
/// so that neither can change without the other.
@Suite(.timeLimit(.minutes(1))) struct ReadmeExampleTests {
    private static let begin = "// README example begins"
    private static let end = "// README example ends"

    private func lines(of file: URL) throws -> [Substring] {
        try String(contentsOf: file, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
    }

    @Test func theExampleRuns() async throws {
        // README example begins
        struct User: Codable, Sendable { var id: UUID; var region: String; var name: String }
        let users = Table<User>("users", key: \.id, locality: .regionalByRow(\.region), placement: .restricted)

        let cluster = try await EmbeddedCluster(topology: .aws(["us-east-1", "eu-west-1", "ap-northeast-1"]))
        let europe = cluster.database(in: "eu-west-1")
        let america = cluster.database(in: "us-east-1")

        let ada = User(id: UUID(), region: "eu-west-1", name: "Ada")
        let receipt = try await europe.write { tx in
            try await tx.insert(ada, into: users)
        }
        print("committed at \(receipt.timestamp) in \(receipt.latency.total)")

        let found = try await america.read { tx in
            try await tx.get(ada.id, from: users)
        }
        print("read across the Atlantic: \(found?.name ?? "nobody")")
        await cluster.shutdown()
        // README example ends
        #expect(found?.name == "Ada")
        #expect(receipt.attempts == 1)
    }

    @Test func thePageShowsTheCodeThatRuns() throws {
        let file = URL(filePath: #filePath)
        let source = try lines(of: file)
        let marks = [Self.begin, Self.end].map { mark in
            source.firstIndex { $0.trimmingCharacters(in: .whitespaces) == mark }
        }
        let first = try #require(marks[0]) + 1
        let last = try #require(marks[1])
        let snippet = source[first..<last].map { $0.hasPrefix("        ") ? $0.dropFirst(8) : $0 }
        let expected = ["import Foundation", "import Meridian", ""] + snippet.map(String.init)

        let page = file.deletingLastPathComponent().appending(path: "../../README.md").standardizedFileURL
        let text = try lines(of: page)
        let fence = try #require(text.firstIndex { $0 == "```swift" }, "README.md has no Swift example")
        let shown = text[(fence + 1)...].prefix { $0 != "```" }.map(String.init)
        #expect(shown == expected)
        #expect(snippet.count <= 22, "the example is to stay short")
    }
}
