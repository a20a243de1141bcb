import ArgumentParser
import Foundation
import Testing

@testable import meridian_cli

/// What `meridian simulate` says to bad input: each answer names what was wrong and what is known.
@Suite struct SimulateCommandTests {
    @Test(arguments: [
        (["--workload", "teller"], "there is no workload \"teller\"; the known ones are append"),
        (["--faults", "quake"], "there is no fault \"quake\"; the known ones are all, standard, none"),
        (["--topology", "us-east-1:1", "--faults", "wipe"], "the fault plan is refused: wipe destroys a copy"),
        (["--topology", "mars-1:3"], "no region \"mars-1\""),
        (["--topology", "us-east-1:many"], "write us-east-1:3"),
        (["--storage", "tape"], "'memory' and 'sqlite'"),
        (["--seeds", "0"], "at least one"),
        (["--hours", "0"], "more than 0"),
        (["--episodes", "1,x"], "\"x\" is no episode"),
        (["--bug", "voteTwice"], "MERIDIAN_PLANTED=1"),
        (["--planted"], "MERIDIAN_PLANTED=1"),
    ])
    func badInputIsAnsweredWithWhatIsKnown(arguments: [String], answer: String) throws {
        let error = #expect(throws: (any Error).self) {
            let command = try SimulateCommand.parse(arguments)
            try command.run()
        }
        let message =
            SimulateCommand.message(for: try #require(error)) + SimulateCommand.fullMessage(for: try #require(error))
        #expect(message.contains(answer), "\(message)")
    }
}
