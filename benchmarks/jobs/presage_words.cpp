// Suggestions of presage (Debian's libpresage-dev) for benchmarks/jobs/next_word.py.
//
//     g++ -O2 -o presage-words benchmarks/jobs/presage_words.cpp -lpresage
//     presage-words CONFIG
//
// Each line of stdin is a text up to the cursor; the answer is a line of words with tabs between. CONFIG is an
// XML file as presage reads it: which predictors there are, and where their n-grams lie.

#include <presage.h>

#include <iostream>
#include <string>

class Typed : public PresageCallback {
 public:
  std::string text;
  std::string get_past_stream() const override { return text; }
  std::string get_future_stream() const override { return ""; }
};

int main(int count, char** arguments) {
  if (count != 2) return 2;
  Typed typed;
  Presage presage(&typed, arguments[1]);
  while (std::getline(std::cin, typed.text)) {
    const char* between = "";
    for (const std::string& word : presage.predict()) {
      std::cout << between << word;
      between = "\t";
    }
    std::cout << std::endl;
  }
}
