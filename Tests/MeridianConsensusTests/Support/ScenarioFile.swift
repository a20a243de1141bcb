/// A scenario: commands, and what they printed when the file was last rewritten, after the manner of
/// cockroachdb/datadriven.
///
/// A block is one or more command lines, a line `----`, the output, and an empty line. Lines that begin with `#` are
/// for the reader and stay where they are.
struct ScenarioFile {
    struct Block {
        var remarks: [String]
        var commands: [String]
        var output: [String]
    }

    var blocks: [Block] = []
    var trailing: [String] = []

    init(_ text: String) {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)[...]
        while !lines.isEmpty {
            var remarks: [String] = []
            while let line = lines.first, line.isEmpty || line.hasPrefix("#") {
                remarks.append(line)
                lines.removeFirst()
            }
            var commands: [String] = []
            while let line = lines.first, !line.isEmpty, line != "----" {
                commands.append(line)
                lines.removeFirst()
            }
            guard !commands.isEmpty else {
                trailing = remarks
                return
            }
            if lines.first == "----" { lines.removeFirst() }
            var output: [String] = []
            while let line = lines.first, !line.isEmpty {
                output.append(line)
                lines.removeFirst()
            }
            blocks.append(Block(remarks: remarks, commands: commands, output: output))
        }
    }

    /// The file with the output that `run` prints now.
    func rewritten(by run: (String) -> [String]) -> String {
        var lines: [String] = []
        for block in blocks {
            lines += block.remarks + block.commands + ["----"] + block.commands.flatMap(run)
        }
        while lines.last == "" { lines.removeLast() }
        return lines.joined(separator: "\n") + "\n"
    }
}
