print("softprompt")
