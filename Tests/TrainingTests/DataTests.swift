import CZlib
import Foundation
import PromptTuning
import TestSupport
import Testing

@testable import Training

/// Data files: what is read, and what is refused with which words.
@Suite struct DataTests {
  /// The text as a gzip file.
  static func gzip(_ text: String) -> Data {
    var stream = z_stream()
    let bytes = Array(text.utf8)
    var output = [UInt8](repeating: 0, count: bytes.count + 1000)
    let size = Int32(MemoryLayout<z_stream>.size)
    deflateInit2_(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
    var input = bytes
    let count = input.withUnsafeMutableBufferPointer { source in
      output.withUnsafeMutableBufferPointer { target in
        stream.next_in = source.baseAddress
        stream.avail_in = UInt32(source.count)
        stream.next_out = target.baseAddress
        stream.avail_out = UInt32(target.count)
        deflate(&stream, Z_FINISH)
        return Int(stream.total_out)
      }
    }
    deflateEnd(&stream)
    return Data(output[..<count])
  }

  private static func message(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "no error"
    } catch {
      return "\(error)"
    }
  }

  @Test func `both forms of targets, extra keys, and lines that end at a newline only`() throws {
    let folder = try TemporaryFolder()
    let text = """
      {"input": "a\\u2028b", "target": "t", "id": 1}
      {"input": "", "targets": ["x", "y"], "more": [1, {"k": null}]}
      {"input": "c\u{2028}d", "target": ""}

      """
    let url = try folder.write(text, to: "data.jsonl")
    let examples = try ExampleFile.read(url.path)
    #expect(examples.map(\.input) == ["a\u{2028}b", "", "c\u{2028}d"])
    #expect(examples.map(\.targets) == [["t"], ["x", "y"], [""]])
    #expect(examples.map(\.source.line) == [1, 2, 3])
    let zipped = folder.file("data.jsonl.gz")
    // Two members end to end are one file.
    try (Self.gzip(text) + Self.gzip("{\"input\": \"e\", \"target\": \"f\"}")).write(to: zipped)
    let unzipped = try ExampleFile.read(zipped.path)
    #expect(unzipped.map(\.input) == examples.map(\.input) + ["e"] && unzipped.last?.source.line == 4)
  }

  @Test(arguments: [
    ("{\"input\": \"a\", \"target\": \"b\"}\n{\"input\": \"a\"", "2: not valid JSON"),
    ("[1]", "1: not a JSON object"), ("{\"target\": \"b\"}", "1: field 'input' is missing"),
    ("{\"input\": \"a\"}", "1: field 'target' (or 'targets') is missing"),
    ("{\"input\": 3, \"target\": \"b\"}", "1: field 'input' is not a string"),
    ("{\"input\": \"a\", \"target\": null}", "1: field 'target' is not a string"),
    ("{\"input\": \"a\", \"targets\": \"b\"}", "1: field 'targets' is not a list of strings"),
    ("{\"input\": \"a\", \"targets\": [1]}", "1: field 'targets' is not a list of strings"),
    ("{\"input\": \"a\", \"targets\": []}", "1: field 'targets' is empty"),
    ("{\"input\": \"a\", \"target\": \"b\"}\n\n{\"input\": \"a\", \"target\": \"b\"}", "2: the line is blank"),
    ("\n\n", " no example in the file"), ("", " no example in the file"),
  ])
  func `bad lines are named`(_ text: String, _ expected: String) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(text, to: "data.jsonl").path
    #expect(Self.message { _ = try ExampleFile.read(path) } == "\(path):\(expected)")
  }

  @Test func `bytes that are not UTF-8, and files that cannot be read`() throws {
    let folder = try TemporaryFolder()
    let url = folder.file("data.jsonl")
    try (Data("{\"input\": \"a\", \"target\": \"b\"}\n{\"input\": \"".utf8) + Data([0xC3, 0x28])).write(to: url)
    #expect(Self.message { _ = try ExampleFile.read(url.path) } == "\(url.path):2: invalid UTF-8")
    let missing = folder.path("missing.jsonl")
    #expect(Self.message { _ = try ExampleFile.read(missing) } == "\(missing): cannot be read: no such file")
    #expect(Self.message { _ = try ExampleFile.read(folder.url.path) }.contains("it is a folder"))
  }

  @Test func `truncated and corrupt compression`() throws {
    let folder = try TemporaryFolder()
    let text = (0..<200).map { "{\"input\": \"number \($0 * $0)\", \"target\": \"\($0)\"}\n" }.joined()
    let whole = Self.gzip(text)
    let url = folder.file("data.jsonl.gz")
    try whole.write(to: url)
    #expect(try ExampleFile.read(url.path).count == 200)
    for length in [0, 1, 9, 20, whole.count / 2, whole.count - 9, whole.count - 1] {
      try whole.prefix(length).write(to: url)
      let message = Self.message { _ = try ExampleFile.read(url.path) }
      #expect(message == "\(url.path): cannot be read: truncated gzip data", "\(length) bytes")
    }
    var broken = whole
    broken[whole.count - 6] ^= 1
    try broken.write(to: url)
    #expect(Self.message { _ = try ExampleFile.read(url.path) }.contains("corrupt gzip data"))
    try Data("{\"input\": \"a\", \"target\": \"b\"}\n".utf8).write(to: url)
    #expect(Self.message { _ = try ExampleFile.read(url.path) }.contains("corrupt gzip data"))
  }

  @Test func `running text is packed into sequences that cover every token once`() throws {
    let folder = try TemporaryFolder()
    let setup = try Setup(Backends.cpu.make())
    let documents = ["First words.", "Second text\nof two lines.", "Third."]
    let lines = documents.map { "{\"text\": \"\($0.replacing("\n", with: "\\n"))\"}\n" }.joined()
    let first = try folder.write(lines, to: "a.jsonl").path
    let second = try folder.write("Plain text.\nMore.\n", to: "b.txt").path
    let expected = (documents + ["Plain text.\nMore.\n"]).flatMap { setup.codec.encode($0) + [setup.codec.endToken] }
    for length in [1, 4, 7, 1000] {
      let data = try TokenSequences(files: [first, second], codec: setup.codec, vocabularySize: 384, length: length)
      #expect(data.documentCount == 4 && data.tokenCount == expected.count)
      var tokens = [data.example(0, epoch: 0).context[0]]
      for index in 0..<data.count {
        let example = data.example(index, epoch: 0)
        #expect(example.context == [tokens[tokens.count - 1]])
        #expect(example.target.count == length || index == data.count - 1)
        tokens += example.target
      }
      #expect(tokens == expected)
    }
    let data = try TokenSequences(files: [first, second], codec: setup.codec, vocabularySize: 384, length: 1)
    #expect(data.example(data.count - 1, epoch: 0).source == ExampleSource(file: second, line: 1))
    #expect(data.example(0, epoch: 0).source == ExampleSource(file: first, line: 1))
  }

  @Test func `examples are seen once an epoch, and batches do not reach across its end`() throws {
    var options = TrainingOptions()
    options.batchSize = 3
    options.accumulate = 2
    options.seed = 5
    var order = DataOrder(count: 14, options: options)
    #expect(order.stepsPerEpoch == 3 && options.stepsPerEpoch(examples: 14) == 3)
    var epochs: [[Int]] = []
    for epoch in 0..<3 {
      let steps = (1...3).map { order.batches(ofStep: epoch * 3 + $0) }
      #expect(steps.map { $0.map(\.count) } == [[3, 3], [3, 3], [2]])
      epochs.append(steps.flatMap { $0.flatMap { $0 } })
      #expect(epochs[epoch].sorted() == Array(0..<14))
    }
    #expect(epochs[0] != epochs[1] && epochs[1] != epochs[2])
    // The order of an epoch does not depend on what was asked for before.
    var other = DataOrder(count: 14, options: options)
    #expect(other.batches(ofStep: 5) == order.batches(ofStep: 5))
    options.shuffles = false
    var plain = DataOrder(count: 14, options: options)
    #expect(plain.batches(ofStep: 1) == [[0, 1, 2], [3, 4, 5]] && plain.batches(ofStep: 6) == [[12, 13]])
  }
}
