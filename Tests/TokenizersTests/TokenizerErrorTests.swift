import Foundation
import Testing
import Tokenizers

/// Broken and unsupported files: one line that names the file and the place.
@Suite struct TokenizerErrorTests {
  private static let parts = """
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true}, \
    "decoder": {"type": "ByteLevel"}
    """
  private static let model = #""model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}"#

  /// The error of loading these files, with the directory's name left out.
  private func message(_ files: [String: String]) throws -> String {
    try TokenizerFixture.withDirectory(files) { directory in
      do {
        _ = try TokenizerFiles.load(directory: directory)
        return "no error"
      } catch {
        let message = "\(error)"
        #expect(error is TokenizerError)
        #expect(!message.contains("\n"))
        return message.replacingOccurrences(of: directory.path, with: "DIR")
      }
    }
  }

  private func message(tokenizer: String) throws -> String {
    try message(["tokenizer.json": "{" + tokenizer + "}"])
  }

  @Test func smallTokenizerLoads() throws {
    #expect(try message(tokenizer: "\(Self.parts), \(Self.model)") == "no error")
    #expect(
      try TokenizerFixture.load(["tokenizer.json": "{\(Self.parts), \(Self.model)}"]).encode("abba") == [2, 1, 0])
  }

  @Test func namesMissingFiles() throws {
    #expect(
      try message([:])
        == "DIR: no tokenizer here (tokenizer.json, vocab.json with merges.txt, vocab.txt, or spiece.model)")
    #expect(try message(["vocab.json": "{}"]) == "DIR: vocab.json without merges.txt")
    #expect(try message(["merges.txt": ""]) == "DIR: merges.txt without vocab.json")
    #expect(try message(["vocab.txt": ""]) == "DIR/vocab.txt: cls_token: there is no token \"[CLS]\"")
    #expect(
      try message(["spiece.model": "x", "config.json": "{\"model_type\": \"t5\"}"])
        == "DIR/spiece.model: message: is no SentencePiece model, or broken off")
  }

  @Test func namesUnreadableFiles() throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("tokenizer-\(UUID().uuidString)")
    let file = directory.appendingPathComponent("tokenizer.json")
    try FileManager.default.createDirectory(at: file, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    #expect(throws: TokenizerError.self) { try TokenizerFiles.load(directory: directory) }
  }

  @Test(arguments: [
    (
      #""model": {"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []}"#,
      #"model.vocab."b": id 0 already belongs to "a""#
    ),
    (
      #""model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}"#,
      #"model.vocab."a": -1 is not a token id between 0 and 16777215"#
    ),
    (
      #""model": {"type": "BPE", "vocab": {"a": 1.5}, "merges": []}"#,
      #"model.vocab."a": 1.5 is not a token id between 0 and 16777215"#
    ),
    (
      #""model": {"type": "BPE", "vocab": {"a": "0"}, "merges": []}"#,
      #"model.vocab."a": a string where a token id is expected"#
    ),
    (#""model": {"type": "BPE", "vocab": [], "merges": []}"#, "model.vocab: an array where an object is expected"),
    (
      #""model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}"#,
      #"model.merges[0]: the vocabulary has no token "b""#
    ),
    (
      #""model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [["a", "b"]]}"#,
      #"model.merges[0]: the vocabulary has no token "ab""#
    ),
    (#""model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]}"#, "model.merges[0]: is not a pair of tokens"),
    (#""model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a  a"]}"#, "model.merges[0]: is not a pair of tokens"),
    (#""model": {"type": "BPE", "vocab": {"a": 0}}"#, "model.merges: is missing"),
    (#""model": {"type": "BPE", "merges": []}"#, "model.vocab: is missing"),
    (#""added_tokens": []"#, "model: is missing"),
    (#""model": {"type": "WordPiece", "vocab": {}}"#, "model.unk_token: is missing"),
    (#""model": {"type": "Unigram", "vocab": []}"#, "model.unk_id: no unknown token is not supported"),
    (#""model": {"type": "WordLevel", "vocab": {}}"#, "model: the model WordLevel is not supported"),
    (
      #""model": {"type": "BPE", "end_of_word_suffix": "</w>", "vocab": {}, "merges": []}"#,
      "model.end_of_word_suffix: a end_of_word_suffix is not supported"
    ),
    (
      #""model": {"type": "BPE", "dropout": 0.1, "vocab": {}, "merges": []}"#,
      "model.dropout: dropout of merges is not supported"
    ),
    (
      #""model": {"type": "BPE", "novelty": 1, "vocab": {}, "merges": []}"#,
      #"model.novelty: the key "novelty" is not supported"#
    ),
    (#""normalizer": {"type": "Sparkle"}, \#(model)"#, "normalizer: the normalizer Sparkle is not supported"),
    (
      #""post_processor": {"type": "Sparkle"}, \#(model)"#,
      "post_processor: the post-processor Sparkle is not supported"
    ),
    (
      #""added_tokens": [{"id": 7, "content": "<x>"}], \#(model)"#,
      #"added_tokens[0]: the token "<x>" has id 7, but 3 is what comes next"#
    ),
    (
      #""added_tokens": [{"id": 1, "content": "a"}], \#(model)"#,
      #"added_tokens[0]: the token "a" has id 1, but 0 is what the vocabulary gives it"#
    ),
    (
      #""added_tokens": [{"id": 3, "content": "x"}, {"id": 3, "content": "y"}], \#(model)"#,
      "added_tokens[1].id: id 3 comes twice"
    ),
    (#""added_tokens": [{"id": 3, "content": ""}], \#(model)"#, "added_tokens[0]: an added token without content"),
    (#""added_tokens": [{"content": "x"}], \#(model)"#, "added_tokens[0]: has no id"),
  ])
  func namesWhatIsWrong(_ text: String, _ expected: String) throws {
    #expect(try message(tokenizer: "\(Self.parts), \(text)") == "DIR/tokenizer.json: \(expected)")
  }

  @Test(arguments: [
    (
      #""normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "first"}"#,
      "pre_tokenizer: the prepend_scheme first behind a step that changes text is not supported"
    ),
    (
      #""pre_tokenizer": {"type": "UnicodeScripts"}, "decoder": {"type": "ByteLevel"}"#,
      "pre_tokenizer: the pre_tokenizer UnicodeScripts is not supported"
    ),
    (
      #""pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a(?<!b+)"}, "behavior": "Isolated", "invert": false}"#,
      "pre_tokenizer.pattern.Regex: the pattern a(?<!b+) (look-behind without bound) is not supported"
    ),
    (
      #""pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\p{Klingon}"}, "behavior": "Isolated", "invert": false}"#,
      "pre_tokenizer.pattern.Regex: the pattern \\p{Klingon} (the property Klingon) is not supported"
    ),
    (
      #""pre_tokenizer": {"type": "ByteLevel"}, "decoder": {"type": "CTC"}"#,
      "decoder: the decoder CTC is not supported"
    ),
    (
      #""pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": 1}, "decoder": {"type": "ByteLevel"}"#,
      "pre_tokenizer.add_prefix_space: a number where a boolean is expected"
    ),
  ])
  func refusesOtherComponents(_ text: String, _ expected: String) throws {
    #expect(try message(tokenizer: "\(text), \(Self.model)") == "DIR/tokenizer.json: \(expected)")
  }

  @Test func namesBrokenPairs() throws {
    let vocabulary = #"{"a": 0, "b": 1, "ab": 2}"#
    #expect(try message(["vocab.json": "{", "merges.txt": ""]) == "DIR/vocab.json:1:2: the file ends too early")
    #expect(
      try message(["vocab.json": "[]", "merges.txt": ""])
        == "DIR/vocab.json: top level: an array where an object is expected")
    #expect(
      try message(["vocab.json": vocabulary, "merges.txt": "#version: 0.2\na b\na c\n"])
        == #"DIR/merges.txt: line 3: the vocabulary has no token "c""#)
    #expect(
      try message(["vocab.json": vocabulary, "merges.txt": "a b\n\nb a\n"])
        == "DIR/merges.txt:2:1: expected two tokens with a space between them")
    #expect(try message(["vocab.json": vocabulary, "merges.txt": "a b\n"]) == "no error")
  }

  @Test func namesBrokenSettings() throws {
    let good = "{\(Self.parts), \(Self.model)}"
    #expect(
      try message(["tokenizer.json": good, "tokenizer_config.json": "{\"eos_token\": 5}"])
        == "DIR/tokenizer_config.json: eos_token: a number where a token is expected")
    #expect(
      try message(["tokenizer.json": good, "special_tokens_map.json": "nonsense"])
        == "DIR/special_tokens_map.json:1:1: expected null")
    #expect(
      try message(["tokenizer.json": good, "added_tokens.json": "{\"<x>\": 9}"])
        == #"DIR/added_tokens.json: "<x>": the token "<x>" has id 9, but 3 is what comes next"#)
  }
}
